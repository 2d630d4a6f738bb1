// Faults of the processes themselves, of NATS, of clocks, and of those who watch.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hasServer, repeating } from './deeds.ts'
import type { Drill } from './drill.ts'
import { commandUnder } from './entry.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND

export const serviceDrills: readonly Drill[] = [
  {
    alert: 'Watchdog', fault: 'Prometheus is killed; the dead man\'s switch, which calls after five minutes of silence, gets nothing more', mitigation: 'Prometheus is started',
    shows: /127\.0\.0\.1:9090\/-\/ready\n\(ended with 7\)/,
    isMissed: ({ heard, factor }) => Date.now() - (heard.findLast(({ to }) => to === '/dead-mans-switch')?.at ?? 0) > 5 * MINUTE / factor,
    scene: async ({ prometheus }) => ({ cause: async () => { await prometheus.kill() }, mend: async () => { await prometheus.start() } }),
  },
  {
    alert: 'ServiceDown', fault: 'reaper is killed (`kill -9`)', mitigation: 'it is started', labels: { service: 'reaper' }, inPlaceOf: [['bot.log', 'reaper.log']],
    shows: /reaper\tdown\t.*connection refused/,
    scene: async ({ system }) => ({ cause: async () => { await system.kill('reaper') }, mend: async () => { await system.start('reaper') } }),
  },
  {
    alert: 'InstanceDown', fault: 'one of two notifiers is killed', mitigation: 'it is started', labels: { service: 'notifier' },
    shows: /127\.0\.0\.1:\d+\t.*connection refused/,
    scene: async ({ system }) => ({ cause: async () => { await system.kill('notifier-2') }, mend: async () => { await system.start('notifier-2') } }),
  },
  {
    alert: 'ServiceRestarting', fault: 'reaper is killed as often as it has started', mitigation: 'what killed it is ended, and it stays up', labels: { service: 'reaper' },
    // Who is killed from outside says nothing, and this machine's kernel did not do it.
    shows: /\$ jq \S+ 'fromjson\? \| select\(\.level == "fatal"\)' "\$LOGS"\/\*\.log \| tail -n 5\n(?=\$|\(|$)/,
    scene: async ({ system, prometheus }) => {
      let seen = 0
      // Each start counts once Prometheus has seen it.
      const killing = repeating(async () => {
        const startedAt = (await prometheus.now('max(process_start_time_seconds{service="reaper"})'))[0]?.values[0] ?? 0
        if (startedAt === seen) return
        seen = startedAt
        await system.kill('reaper')
        system.start('reaper').catch(() => {}) // It is killed again before it is ready.
      }, 100)
      return {
        cause: async () => { killing.begin() },
        mend: async () => {
          await killing.end()
          await system.kill('reaper')
          await system.start('reaper')
        },
      }
    },
  },
  {
    alert: 'MetricsMissing', fault: 'a relabelling drops klaim_nats_connected', nearest: 'in production it is an update of the rules without the services, or the other way', mitigation: 'it is taken back, and Prometheus reloaded', labels: { service: 'notifier' },
    shows: /klaim_messages_total/,
    scene: async ({ prometheus }) => {
      const file = join(prometheus.configuration, 'prometheus.yml')
      const before = readFileSync(file, 'utf8')
      const change = async (text: string): Promise<void> => {
        writeFileSync(file, text)
        await prometheus.reload()
      }
      return {
        cause: async () => { await change(before.replace('    honor_labels: true\n', '$&    metric_relabel_configs: [{ source_labels: [__name__], regex: klaim_nats_connected, action: drop }]\n')) },
        mend: async () => { await change(before) },
      }
    },
  },
  {
    alert: 'NatsDisconnected', fault: 'nats-server is killed (`kill -9`)', mitigation: 'it is started', labels: { service: 'claim-store' },
    shows: /healthz\n\(ended with 7\)/, unsaid: 'the bot has no NATS either, and could not know what it has told',
    scene: async ({ system }) => ({ cause: async () => { await system.nats.kill() }, mend: async () => { await system.nats.restart() } }),
  },
  {
    alert: 'ClockSkewed', fault: 'the clock of reaper is set two minutes ahead while it runs', nearest: 'the clock of that process, not of the machine: it is shared with everything else here', mitigation: 'it is set right', labels: { service: 'reaper' },
    shows: /klaim_clock_skew_seconds\{service="reaper"\} 1(19|20)/,
    scene: async ({ setReaperClock }) => ({ cause: async () => { setReaperClock(2 * MINUTE) }, mend: async () => { setReaperClock(0) } }),
  },
  {
    alert: 'ApiSlow', fault: 'NATS stands still for three and a half of every four seconds, and people claim and look at their claims', nearest: 'nats-server is stopped and continued, as by a disk that does not keep up', mitigation: 'NATS runs on',
    shows: /\/api\/claim\S*\t\d+\t[3-9]\d{3}/,
    scene: async (field) => {
      const { person, claimId } = await hasServer(field)
      const standing = repeating(async () => {
        await field.system.nats.kill('SIGSTOP')
        await delay(3.5 * SECOND)
        await field.system.nats.kill('SIGCONT')
      }, 500)
      const visitors = [...Array.from({ length: 5 }, () => repeating(async () => await person.progress(claimId), 100)), repeating(async () => await person.claim(), 100)]
      return {
        cause: async () => { for (const each of [standing, ...visitors]) each.begin() },
        mend: async () => { await standing.end() },
        end: async () => { for (const each of visitors) await each.end() },
      }
    },
  },
  {
    alert: 'NotificationsFailing', fault: 'Alertmanager has the alerts\' secret of before a rotation, and there is an alert', mitigation: 'it is given the new one (*Rotate the alerts\' secret*)',
    shows: /alertmanager_notifications_failed_total\{integration="webhook"\} [1-9]/, unsaid: 'that is what is broken',
    scene: async ({ alertsSecretFile, follow }) => {
      const right = readFileSync(alertsSecretFile, 'utf8')
      return {
        cause: async () => {
          writeFileSync(alertsSecretFile, 'the-secret-of-alerts-of-before-the-rotation')
          await follow(commandUnder('Set alerts up.', /alert add/))
        },
        mend: async () => { writeFileSync(alertsSecretFile, right) },
      }
    },
  },
]
