// How a claim's story is told, from what stands on the streams. The reading itself is tested on a whole system (services/test/klaim-cli.test.ts).
import t from 'tap'
import { EVENTS } from '../../../contracts/catalog.ts'
import { STEPS, POSTPONE_REASONS } from '../../../contracts/codes.ts'
import type { ClaimView } from '../../../contracts/requests.ts'
import { eventNameOf } from '../../../services/common/event-line.ts'
import { momentText, spanText, distanceText } from '../../operating/times.ts'
import { standingOf, type Known } from '../standing.ts'
import type { Told } from '../told.ts'
import { shortened } from '../why.ts'
import { REASON_WORDS, WORDS, wordsOf } from '../words.ts'

const CLAIM = '11111111-1111-4111-8111-111111111111'
const NOW = Date.parse('2026-10-04T08:00:00Z')
const [MINUTE, HOUR] = [60_000, 3_600_000]
const ago = (ms: number): string => new Date(NOW - ms).toISOString()
const told = (event: string, data: Record<string, unknown> = {}, msAgo = 0): Told => ({ at: new Date(NOW - msAgo), stream: 'X', sequence: 17, event, who: 'x', data })
const says = (event: string, data: Record<string, unknown> = {}): string => wordsOf(told(event, data))

t.test('words', async (t) => {
  const named = EVENTS.map(eventNameOf).filter((name) => !name.startsWith('operator.acted'))
  t.same(named.filter((name) => WORDS[name] === undefined), [], 'there are some for every event')
  t.same(Object.keys(WORDS).filter((name) => !named.includes(name)).toSorted(), ['dead_letter', 'deletion.pending', 'unknown'], 'and none for what nobody says')
  t.same(POSTPONE_REASONS.filter((reason) => REASON_WORDS[reason] === undefined), [], 'for every reason to look again')
  t.same(STEPS.filter((step) => says('server.progressed', { step }) === step), [], 'and for every step')

  const scheduled = { deletion_scheduled_at: '2026-10-04T12:00:00Z', left_at: '2026-10-04T08:00:00Z' }
  const table: Array<[string, Record<string, unknown>, string]> = [
    ['claim.requested', { template: 'nodejs', template_version: 3, username: 'budi', wa_jid: '6281200000001@s.whatsapp.net' }, 'took the claim: nodejs, version 3'],
    ['claim.deletion_scheduled', { ...scheduled, reason: 'left' }, 'the member left at 2026-10-04 08:00:00 UTC: the server goes at 2026-10-04 12:00:00 UTC'],
    ['claim.deletion_scheduled', { ...scheduled, reason: 'outage' }, 'the server goes at 2026-10-04 12:00:00 UTC instead: its time had passed while we were away, so the member is warned anew'],
    ['claim.deletion_scheduled', { ...scheduled, reason: 'operator', operation: 'hold' }, "holds the deletion until 2026-10-04 12:00:00 UTC, on an operator's word"],
    ['claim.deletion_scheduled', { ...scheduled, reason: 'operator', operation: 'delete', even_if_present: true }, "the server goes now, on an operator's word, whoever is in the group"],
    ['claim.deletion_cancelled', { reason: 'returned' }, 'the server stays: the member came back'],
    ['claim.deleted', { user_deleted: false }, 'it is over: the server is gone; the account owns something else and stays'],
    ['server.progressed', { step: 'create', attempt: 2 }, 'has the panel make the server (server 2)'],
    ['server.failed', { step: 'install', code: 'INSTALL_FAILED' }, 'gave up at the step install: INSTALL_FAILED; nothing of it is left on the panel'],
    ['deletion.postponed', { until: '2026-10-04T08:05:00Z', reason: 'brake' }, 'looks again at 2026-10-04 08:05:00 UTC: the brake is on'],
    ['message.undeliverable', { kind: 'login', code: 'WHATSAPP_REACHOUT_LOCKED' }, 'WhatsApp did not take the login: WHATSAPP_REACHOUT_LOCKED'],
    ['operator.acted.claim-store', { service: 'claim-store', by: 'budi', operation: 'hold', detail: 'for 24 h', outcome: 'done', why: 'rang from +62 812-0000-0001' }, 'budi asked claim-store for hold (for 24 h): done; “rang from [number]”'],
    ['operator.acted.bot', { service: 'bot', by: 'budi', operation: 'send_login', why: 'x' }, 'budi asked bot for send_login: no outcome yet; “x”'],
    ['dead_letter', { consumer: 'claim-store-servers', subject: `servers.${CLAIM}.ready`, deliveries: 12, reason: 'DELIVERIES_EXHAUSTED' }, 'gave up on servers ready after 12 tries: DELIVERIES_EXHAUSTED'],
    ['dead_letter', {}, 'wrote a dead letter that is none of ours'],
    ['a.new.event', {}, 'a.new.event'],
  ]
  for (const [event, data, words] of table) t.equal(says(event, data), words)
  t.notMatch(table.map(([event, data]) => says(event, data)).join(), /62812|budi@|@s\.whatsapp/, 'none holds a number')
})

const view = (fields: Partial<ClaimView>): ClaimView => ({
  claim_id: CLAIM, wa_jid: '6281200000001@s.whatsapp.net', status: 'active', user_id: 1, server_id: 12, allocation_id: 3, deletion_scheduled_at: null, delete_job_id: null,
  created_at: ago(HOUR), updated_at: ago(30 * MINUTE), last_event_at: ago(30 * MINUTE), member_id: 'abcdefghijklmnopqrst', ...fields,
})
const standing = (fields: Partial<ClaimView>, known: Partial<Known> = {}) => standingOf({ view: view(fields), story: [], newerClaim: undefined, brakeIsOn: false, trouble: undefined, now: NOW, ...known })

t.test('where a claim stands', async (t) => {
  const progress = (step: string, msAgo: number): Told => told('server.progressed', { step }, msAgo)
  const due = (ms: number): Partial<ClaimView> => ({ status: 'deleting', deletion_scheduled_at: new Date(NOW + ms).toISOString(), delete_job_id: `${CLAIM}-d1` })
  const table: Array<[string, ReturnType<typeof standing>, { now: RegExp, waitsFor: RegExp | undefined, can: RegExp }]> = [
    ['while it is made', standing({ status: 'creating', server_id: null }, { story: [progress('account', 50 * MINUTE), progress('install', 2 * MINUTE)] }), { now: /^being made for 1 h 0 min, at the step install for 2 min 0 s$/, waitsFor: /^the panel, to install the server$/, can: /^scripts\/klaim delete/ }],
    ['while a step takes long', standing({ status: 'creating' }, { story: [progress('probe', 25 * MINUTE)] }), { now: /at the step probe/, waitsFor: /port, for 25 min 0 s now, which is long$/, can: /#alert-claims-stuck/ }],
    ['before anybody began', standing({ status: 'creating' }), { now: /at the step queued for 1 h 0 min/, waitsFor: /the provisioner, to begin/, can: /provisioner/ }],
    ['while something keeps the provisioner', standing({ status: 'creating' }, { trouble: { code: 'PANEL_DOWN', since: NOW - 5 * MINUTE } }), { now: /being made/, waitsFor: /^PANEL_DOWN to be over, for 5 min 0 s now$/, can: /put right what PANEL_DOWN says/ }],
    ['when the member left meanwhile', standing({ status: 'creating', deletion_scheduled_at: new Date(NOW + HOUR).toISOString() }), { now: /the member left meanwhile, so it goes once it is ready, not before 2026-10-04 09:00:00 UTC$/, waitsFor: /./, can: /./ }],
    ['when all is well', standing({}, { story: [told('message.outbound', { kind: 'login' }, MINUTE), told('message.delivered', { kind: 'login' })] }), { now: /^active since 2026-10-04 07:30:00 UTC, on server 12$/, waitsFor: undefined, can: /send-login/ }],
    ['when its login waits', standing({}, { story: [told('message.outbound', { kind: 'login' }, 12 * MINUTE)] }), { now: /^active/, waitsFor: /the bot, to hand the login to WhatsApp, for 12 min 0 s now, which is long/, can: /roster/ }],
    ['when its login did not arrive', standing({}, { story: [told('message.outbound', { kind: 'login' }), told('message.undeliverable', { kind: 'login', code: 'SEAL_UNREADABLE' })] }), { now: /did not arrive: SEAL_UNREADABLE$/, waitsFor: /the member/, can: /send-login .*#code-seal-unreadable/ }],
    ['before its deletion', standing(due(3 * HOUR)), { now: /^to be deleted, due in 3 h 0 min \(2026-10-04 11:00:00 UTC\)$/, waitsFor: /^that time, or the member to come back$/, can: /hold .*extend .*delete .*now/ }],
    ['while it is held', standing({ ...due(3 * HOUR), deletion_held_from: new Date(NOW + MINUTE).toISOString() }), { now: /held by an operator until 2026-10-04 11:00:00 UTC \(it was due 2026-10-04 08:01:00 UTC\)/, waitsFor: /a release/, can: /^scripts\/klaim release / }],
    ['while the brake holds it', standing(due(-MINUTE), { brakeIsOn: true }), { now: /due 1 min 0 s ago/, waitsFor: /^the brake to be released$/, can: /release-brake/ }],
    ['while the brake held it and the reaper is away', standing(due(-MINUTE), { brakeIsOn: undefined, story: [told('deletion.postponed', { reason: 'brake' })] }), { now: /./, waitsFor: /brake/, can: /release-brake/ }],
    ['while nobody can tell who is in the group', standing(due(-30 * MINUTE), { story: [told('deletion.postponed', { reason: 'brake' }, MINUTE), told('deletion.postponed', { reason: 'roster_unknown' })] }), { now: /./, waitsFor: /^the reaper, .*; at its last look: nobody can tell who is in the group$/, can: /roster.*#alert-reaper-overdue/ }],
    ['when the panel deletes', standing({ ...due(-MINUTE), deletion_started: true }, { story: [told('claim.deletion_started', {}, 2 * MINUTE)] }), { now: /^being deleted for 2 min 0 s$/, waitsFor: /to have the panel delete it$/, can: /no way back/ }],
    ['when the panel deletes for long', standing({ ...due(-MINUTE), deletion_started: true }), { now: /./, waitsFor: /which is long/, can: /#alert-panel-down/ }],
    ['when it failed', standing({ status: 'failed', failure_code: 'NO_FREE_PORT' }), { now: /^failed: NO_FREE_PORT \(RUNBOOK\.md#code-no-free-port\)$/, waitsFor: /the member/, can: /^scripts\/klaim retry / }],
    ['when it is over', standing({ status: 'deleted' }), { now: /^over: deleted 30 min 0 s ago$/, waitsFor: undefined, can: /scripts\/erase/ }],
    ['when a dead letter is about it', standing({}, { story: [told('dead_letter', { runbook: 'RUNBOOK.md#code-cause-unknown' })] }), { now: /^active/, waitsFor: /^a person: a dead letter is about it$/, can: /^scripts\/klaim dead-letters show 17 .*#code-cause-unknown/ }],
    ['when the member claimed anew', standing({ status: 'failed' }, { newerClaim: CLAIM.replaceAll('1', '2') }), { now: /^failed; the member has a newer claim, 2222/, waitsFor: /./, can: /./ }],
  ]
  for (const [what, { now, waitsFor, can }, expected] of table) {
    t.match(now, expected.now, `${what}: it says so`)
    if (expected.waitsFor === undefined) t.equal(waitsFor, undefined, `${what}: it waits for nothing`)
    else t.match(waitsFor, expected.waitsFor, `${what}: for what it waits`)
    t.match(can.join(' '), expected.can, `${what}: and what can be done`)
    t.notMatch([now, waitsFor, ...can].join(), /62812/)
  }
})

t.test('looks that come to nothing', async (t) => {
  const lines = [told('claim.deletion_scheduled'), ...Array.from({ length: 10 }, (_, n) => told(n % 2 === 0 ? 'deletion.due' : 'deletion.postponed')), told('deletion.confirmed')].map((each, n) => ({ told: each, line: String(n) }))
  t.same(shortened(lines).map((line) => line.trim()), ['0', '1', '2', '…  6 lines about looks that came to nothing; --json has them', '9', '10', '11'], 'are told once')
  t.same(shortened(lines.slice(0, 5)), ['0', '1', '2', '3', '4'], 'where they are many')
  t.same(shortened([]), [])
})

t.test('times', async (t) => {
  t.same([0, 12_345, 59_900, 60_000, 252_000, HOUR, 14_700_000, 86_400_000 * 12 + 4 * HOUR].map(spanText), ['0.0 s', '12.3 s', '59.9 s', '1 min 0 s', '4 min 12 s', '1 h 0 min', '4 h 5 min', '12 d 4 h'])
  t.same([distanceText(NOW + HOUR, NOW), distanceText(NOW - 1_500, NOW)], ['in 1 h 0 min', '1.5 s ago'])
  t.equal(momentText('2026-10-04T08:00:00.999Z'), '2026-10-04 08:00:00 UTC')
})
