// What everything stands on: NATS as the services measure it (the server's own metrics would need another exporter), the book, backups,
// processes, and machines by node_exporter.
import type { Description } from './dashboard.ts'
import { bars, graph, stat, type Colours } from './grafana.ts'
import { inRange, perSecond, quantile } from './queries.ts'

const ofService = '{service=~"$service"}'
const ofHost = 'job="node", instance=~"$host"'
const filling: Colours = ['green', [0.6, 'orange'], [0.8, 'red']]

export const natsAndHosts: Description = {
  name: 'nats-and-hosts',
  title: 'Klaim: NATS and hosts',
  description: 'NATS, the book, backups, processes and machines.',
  from: 'now-6h',
  timezone: 'browser',
  variables: [{ name: 'service', label: 'Service', of: ['klaim_build_info', 'service'] }, { name: 'host', label: 'Machine', of: ['node_uname_info', 'instance'] }],
  rows: [
    { title: 'NATS', panels: [
      stat('min(max by (service) (klaim_nats_connected))', { title: 'Services connected', unit: 'none', words: { 1: { text: 'all', colour: 'green' }, 0: { text: 'not all', colour: 'red' } }, none: 'not known', runbook: 'faults-in-logs-and-dead-letters', description: 'Whether every service that runs has its connection. If none has, it is NATS.' }),
      stat('max(klaim_jetstream_storage_bytes / klaim_jetstream_storage_limit_bytes)', { title: 'Storage used', unit: 'percentunit', decimals: 1, none: 'not known', colours: filling, description: 'Of what all streams and buckets may hold together.' }),
      stat('max(abs(klaim_clock_skew_seconds))', { title: 'Clocks apart', unit: 's', decimals: 2, none: 'not known', colours: ['green', [10, 'orange'], [30, 'red']], runbook: 'faults-in-logs-and-dead-letters', description: 'The largest difference between a service and NATS. From a minute on nothing is deleted (CLOCK_SKEWED).' }),
      stat('max(klaim_dead_letters)', { title: 'Dead letters', unit: 'none', decimals: 0, none: 'not known', colours: ['green', [1, 'red']], runbook: 'doing', description: 'Messages that could not be handled.' }),
      stat(inRange('klaim_requests_total{result="fault"}'), { title: 'Questions that failed', unit: 'none', decimals: 0, colours: ['green', [1, 'orange']], runbook: 'faults-in-logs-and-dead-letters', description: 'Questions between services that were answered with a fault, in the time that is shown.' }),
      stat('max(klaim_stream_messages{stream="CLAIMS"})', { title: 'Events in the ledger', unit: 'none', decimals: 0, none: 'not known', description: 'Some seven for each claim. The ledger is kept for ever, without who was erased.' }),
      bars({ expr: 'sort_desc(max by (stream) (klaim_stream_bytes / klaim_stream_limit_bytes))', legend: '{{stream}}' }, { title: 'How full streams and buckets are', unit: 'percentunit', decimals: 1, colours: filling, height: 12, description: 'A full stream loses its oldest messages, the ledger too; a full bucket (KV_…) takes no more. LIMITS and KV_nonces are made to be full in a storm.' }),
      graph([{ expr: 'max by (stream) (klaim_stream_bytes)', legend: '{{stream}}' }], { title: 'What streams and buckets hold', unit: 'bytes', form: 'stacked', height: 12, description: 'At the last look of claim-store.' }),
      graph([{ expr: perSecond('klaim_events_published_total', 'type'), legend: '{{type}}' }], { title: 'Events', unit: 'mps', form: 'stacked', height: 12, description: 'What services said, by type.' }),
      graph([{ expr: 'min by (service) (klaim_nats_connected)', legend: '{{service}}' }], { title: 'Connected', unit: 'none', decimals: 0, max: 1, description: '1 while every process of a service has its connection.' }),
      graph([{ expr: 'max by (service) (abs(klaim_clock_skew_seconds))', legend: '{{service}}' }], { title: 'Clocks apart from NATS', unit: 's', colours: ['green', [30, 'orange'], [60, 'red']], description: 'If all services show the same, it is the clock of NATS.' }),
      graph([{ expr: perSecond('klaim_requests_total', 'request, result'), legend: '{{request}} {{result}}' }], { title: 'Questions between services', unit: 'reqps', form: 'stacked', description: 'Answered, by name and result.' }),
    ] },
    { title: 'The book and its backups', panels: [
      graph([{ expr: 'max by (kind) (klaim_book_claims)', legend: '{{kind}}' }], { title: 'Claims in the book', unit: 'none', decimals: 0, runbook: 'doing', description: 'Above 10,000 it belongs into SQLite.' }),
      graph([{ expr: 'max(klaim_book_bytes)', legend: 'size' }], { title: 'Size of the book', unit: 'bytes', description: 'A copy of the ledger, never the commit.' }),
      graph([{ expr: quantile(0.95, 'klaim_book_write_seconds', { window: '1h' }), legend: '95 of 100' }], { title: 'Time to write the book', unit: 's', description: 'Over the hour before. A slow disk shows here first.' }),
      stat('time() - max(klaim_backup_verified_timestamp_seconds > 0)', { title: 'Newest verified backup', unit: 's', decimals: 0, none: 'none', width: 6, colours: ['green', [7 * 3600, 'orange'], [13 * 3600, 'red']], runbook: 'backups', description: 'How old it is. One is due every six hours; verified means restored and compared.' }),
      stat('max(klaim_backup_failed_timestamp_seconds) > bool max(klaim_backup_verified_timestamp_seconds)', { title: 'The newest backup', unit: 'none', none: 'not known', width: 6, words: { 0: { text: 'verified', colour: 'green' }, 1: { text: 'failed', colour: 'red' } }, runbook: 'backups', description: 'Failed: it could not be restored as it was made. The older ones are still there.' }),
      stat('max(klaim_backup_bytes)', { title: 'Size of the backup', unit: 'bytes', none: 'none', width: 6, description: 'Of the newest verified one.' }),
      stat('max(klaim_backups{verified="true"})', { title: 'Backups kept', unit: 'none', decimals: 0, none: 'none', width: 6, colours: ['red', [1, 'green']], runbook: 'backups', description: 'All of two days, then the last of each day for thirty.' }),
    ] },
    { title: 'Processes', panels: [
      graph([{ expr: 'max by (job, instance) (up)', legend: '{{job}} {{instance}}' }], { title: 'Seen by Prometheus', unit: 'none', decimals: 0, max: 1, description: '0: it did not answer. An address that nobody uses belongs out of targets/.' }),
      graph([{ expr: `sum by (service, instance) (rate(process_cpu_seconds_total${ofService}[$__rate_interval]))`, legend: '{{service}} {{instance}}' }], { title: 'CPU', unit: 'percentunit', description: '100 % is one core. A service of Klaim needs little; one that stays at 100 % does not get on.' }),
      graph([{ expr: `process_resident_memory_bytes${ofService}`, legend: '{{service}} {{instance}}' }], { title: 'Memory', unit: 'bytes', description: 'What the process really holds.' }),
      graph([{ expr: `nodejs_eventloop_lag_p99_seconds${ofService}`, legend: '{{service}} {{instance}}' }], { title: 'Held up', unit: 's', colours: ['green', [1, 'orange']], description: 'How late the process is with what it has to do, for 99 of 100. Seconds: it is overloaded or computes something large.' }),
      graph([{ expr: `process_open_fds${ofService}`, legend: '{{service}} {{instance}}' }], { title: 'Open files and connections', unit: 'none', decimals: 0, description: 'What only grows is a leak. The gateway has one for each visitor.' }),
      bars({ expr: `sum by (service) (changes(process_start_time_seconds${ofService}[$__range]))`, legend: '{{service}}' }, { title: 'Restarts', unit: 'none', decimals: 0, colours: ['green', [1, 'orange'], [3, 'red']], description: 'In the time that is shown. Several in a row: the last lines of its log say why.' }),
      bars({ expr: 'count by (service, version) (klaim_build_info)', legend: '{{service}} {{version}}' }, { title: 'Processes by version', unit: 'none', decimals: 0, description: 'Two versions of one service: an update under way, or one that was forgotten.' }),
    ] },
    { title: 'Machines', panels: [
      graph([{ expr: `1 - avg by (instance) (rate(node_cpu_seconds_total{${ofHost}, mode="idle"}[$__rate_interval]))`, legend: '{{instance}}' }], { title: 'CPU', unit: 'percentunit', max: 1, description: 'Share of all cores that is at work.' }),
      graph([{ expr: `node_load5{${ofHost}} / on (instance) count by (instance) (node_cpu_seconds_total{${ofHost}, mode="idle"})`, legend: '{{instance}}' }], { title: 'Load per core', unit: 'none', decimals: 2, colours: ['green', [1, 'orange'], [2, 'red']], description: 'Above 1 work waits for a core or a disk.' }),
      graph([{ expr: `1 - node_memory_MemAvailable_bytes{${ofHost}} / node_memory_MemTotal_bytes{${ofHost}}`, legend: '{{instance}}' }], { title: 'Memory', unit: 'percentunit', max: 1, colours: ['green', [0.8, 'orange'], [0.9, 'red']], description: 'In use and not to be had back.' }),
      graph([{ expr: `1 - node_filesystem_avail_bytes{${ofHost}, fstype!~"tmpfs|ramfs|squashfs"} / node_filesystem_size_bytes{${ofHost}, fstype!~"tmpfs|ramfs|squashfs"}`, legend: '{{instance}} {{mountpoint}}' }], { title: 'Disks', unit: 'percentunit', max: 1, colours: ['green', [0.8, 'orange'], [0.9, 'red']], description: 'How full. NATS stops taking anything when its disk is full, and so does the book.' }),
      graph([{ expr: `rate(node_disk_io_time_seconds_total{${ofHost}}[$__rate_interval])`, legend: '{{instance}} {{device}}' }], { title: 'Disks at work', unit: 'percentunit', max: 1, description: 'Share of the time. NATS writes every message to the disk before it acknowledges it, so a busy disk slows all.' }),
      graph([
        { expr: `sum by (instance) (rate(node_network_receive_bytes_total{${ofHost}, device!="lo"}[$__rate_interval]))`, legend: '{{instance}} in' },
        { expr: `sum by (instance) (rate(node_network_transmit_bytes_total{${ofHost}, device!="lo"}[$__rate_interval]))`, legend: '{{instance}} out' },
      ], { title: 'Network', unit: 'Bps', description: 'Of all cards but the machine itself.' }),
      graph([{ expr: `abs(node_timex_offset_seconds{${ofHost}})`, legend: '{{instance}}' }], { title: 'Clock of the machine', unit: 's', description: 'How far it is from its time server. Signed notices and deletions need clocks that agree.' }),
      bars({ expr: `time() - node_boot_time_seconds{${ofHost}}`, legend: '{{instance}}' }, { title: 'Running since', unit: 's', description: 'Time since the machine was started.' }),
      bars({ expr: `max by (instance) (node_textfile_scrape_error{${ofHost}})`, legend: '{{instance}}' }, { title: 'Faults with what backups say', unit: 'none', decimals: 0, colours: ['green', [1, 'red']], runbook: 'backups', description: '1: node_exporter cannot read BACKUP_METRICS_FILE, so nobody sees how old the newest backup is.' }),
    ] },
  ],
}
