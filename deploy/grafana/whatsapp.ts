// What the bot sees of WhatsApp and the group. Of several bots one serves; the others stand by and say 0.
import type { Description } from './dashboard.ts'
import { bars, graph, stat, timeline, type Word } from './grafana.ts'
import { around, orUnknown, quantile, somethingOf } from './queries.ts'

const UNKNOWN: Word = { text: 'not known', colour: 'orange' }
const age = (timestamp: string): string => `time() - max(${timestamp} > 0)`

export const whatsapp: Description = {
  name: 'whatsapp',
  title: 'Klaim: WhatsApp',
  description: 'The connection, the group, and what is said.',
  from: 'now-6h',
  timezone: 'browser',
  rows: [
    { title: 'The connection', panels: [
      stat(orUnknown('max(klaim_whatsapp_connection{state="open"})'), { title: 'Connected', unit: 'none', words: { 1: { text: 'yes', colour: 'green' }, 0: { text: 'no', colour: 'red' }, '-1': UNKNOWN }, runbook: 'when-whatsapp-closes-the-session-for-good', description: 'Whether a bot is connected. While none is, nobody can claim, no login goes out, and nothing is deleted.' }),
      stat(age('klaim_whatsapp_probe_timestamp_seconds'), { title: 'WhatsApp last answered', unit: 's', decimals: 0, none: 'not yet', colours: ['green', [300, 'orange'], [600, 'red']], description: 'The bot asks every two minutes. A connection that is open and silent shows here first.' }),
      stat(orUnknown('max(klaim_whatsapp_restricted)'), { title: 'Account restricted', unit: 'none', words: { 0: { text: 'no', colour: 'green' }, 1: { text: 'yes', colour: 'red' }, '-1': UNKNOWN }, runbook: 'why-a-message-did-not-arrive', description: 'Locked, refused or banned. Do not send more; the log says until when.' }),
      stat('clamp_min(max(klaim_whatsapp_reachout_locked_until_timestamp_seconds) - time(), 0)', { title: 'New contacts refused for', unit: 's', decimals: 0, none: 'not known', colours: ['green', [1, 'red']], runbook: 'why-a-message-did-not-arrive', description: 'How long WhatsApp still refuses messages to people who never wrote to the bot. 0: it does not, or does not say until when.' }),
      stat(orUnknown('max(klaim_roster_reliable)'), { title: 'Group readable', unit: 'none', words: { 1: { text: 'yes', colour: 'green' }, 0: { text: 'no', colour: 'red' }, '-1': UNKNOWN }, runbook: 'looking', description: 'Whether membership can be told. If not, nobody can claim and nothing is deleted.' }),
      stat(age('klaim_roster_seen_timestamp_seconds'), { title: 'Group last read', unit: 's', decimals: 0, none: 'not yet', colours: ['green', [300, 'orange'], [600, 'red']], runbook: 'looking', description: 'When a reading of the group was last believed.' }),
      timeline({ expr: 'max by (state) (klaim_whatsapp_connection)', legend: '{{state}}' }, { title: 'State of the connection', unit: 'none', words: { 1: { text: 'in this state', colour: 'blue' }, 0: { text: '', colour: 'transparent' } }, runbook: 'when-whatsapp-closes-the-session-for-good', description: 'open is well. waiting: it connects again soon. linking: somebody has to scan the code with the phone of the bot. stopped: it does not come back by itself. A bot that stands by is standby beside the one that serves.' }),
      graph([{ expr: `${around('klaim_whatsapp_closes_total', 'code')} > 0 or on () label_replace(vector(0), "code", "nothing", "", "")`, legend: '{{code}}' }], { title: 'Connections that ended', unit: 'none', decimals: 0, width: 12, form: 'bars', step: '5m', runbook: 'when-whatsapp-closes-the-session-for-good', description: 'By the code that WhatsApp gave. A few a day are usual (428, 503, 515); 401, 403, 406 and 440 are not.' }),
    ] },
    { title: 'The group', panels: [
      graph([{ expr: 'max(klaim_roster_members)', legend: 'members' }], { title: 'People in the group', unit: 'none', decimals: 0, description: 'As last believed, without the bot. A sudden drop is not believed at once, and trips the brake.' }),
      graph([{ expr: around('klaim_roster_readings_total', 'verdict'), legend: '{{verdict}}' }], { title: 'Readings of the group', unit: 'none', decimals: 0, description: 'same and changed are well. suspect: too many are missing at once. blind: an empty list, or one without the bot.' }),
      graph([{ expr: around('klaim_membership_changes_total', 'kind'), legend: '{{kind}}' }], { title: 'Who came and went', unit: 'none', decimals: 0, step: '5m', form: 'bars', description: 'unresolved: WhatsApp hides the number, and nobody knows yet who it is.' }),
      graph([{ expr: around('klaim_membership_checks_total', 'membership'), legend: '{{membership}}' }], { title: 'Is this number in the group?', unit: 'none', decimals: 0, description: 'Questions of the gateway and the reaper, by answer. unknown is never taken for absent.' }),
      bars({ expr: somethingOf('klaim_deletions_witnessed_total', 'membership', 'none'), legend: '{{membership}}' }, { title: 'Deletions, and where their members were', unit: 'none', decimals: 0, runbook: 'first-is-data-at-risk', description: 'What the roster said when the ledger started a deletion. present must never show.' }),
    ] },
    { title: 'Messages', panels: [
      graph([{ expr: around('klaim_whatsapp_sends_total', 'result'), legend: '{{result}}' }], { title: 'Handed to WhatsApp', unit: 'none', decimals: 0, step: '5m', form: 'bars', runbook: 'why-a-message-did-not-arrive', description: 'refused_463: WhatsApp lets the bot not write first to this person. Many of these are the way to a ban: stop.' }),
      bars({ expr: somethingOf('klaim_logins_undelivered_total', 'code', 'none'), legend: '{{code}}' }, { title: 'Logins that did not arrive', unit: 'none', decimals: 0, colours: ['green', [1, 'orange'], [5, 'red']], runbook: 'why-a-message-did-not-arrive', description: 'In the time that is shown, by code. MESSAGE_EXPIRED and LOGIN_REPLACED are no fault. Their members write SANDI to the bot.' }),
      graph([
        { expr: 'max(klaim_consumer_pending{consumer="bot-messages"} + klaim_consumer_ack_pending{consumer="bot-messages"})', legend: 'messages' },
      ], { title: 'Waiting to be sent', unit: 'none', decimals: 0, description: 'The bot sends one at a time with a pause, so a crowd waits here, and so does everything while it is not connected.' }),
      graph([{ expr: 'max(klaim_consumer_oldest_age_seconds{consumer="bot-messages"})', legend: 'oldest' }], { title: 'Oldest that waits', unit: 's', colours: ['green', [120, 'orange'], [900, 'red']], description: 'How long the first in the queue has waited.' }),
      graph([0.5, 0.95].map((share) => ({ expr: quantile(share, 'klaim_message_handling_seconds', { matching: '{consumer="bot-messages"}', window: '1h' }), legend: `${share * 100} of 100` })), { title: 'Time to send one', unit: 's', description: 'With its pauses, over the hour before.' }),
      graph([{ expr: around('klaim_whatsapp_incoming_total', 'intent'), legend: '{{intent}}' }], { title: 'What members write', unit: 'none', decimals: 0, step: '5m', form: 'bars', description: 'STATUS, SANDI (login), HAPUS DATA (erase), help, and what is none of these.' }),
    ] },
  ],
}
