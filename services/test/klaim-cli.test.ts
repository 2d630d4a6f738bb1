// scripts/klaim, each of its commands as an operator uses it, beside a whole system in which people claim, fail, leave and come back.
import t from 'tap'
import { randomUUID } from 'node:crypto'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { startSystem } from '../../deploy/staging/system.ts'
import { connectNats } from '../common/connect.ts'
import { memberIdOf } from '../common/member-id.ts'
import { scratch } from '../common/test/scratch.ts'
import { actor, panelState, until } from './journey.ts'
import { klaimOf } from './klaim-command.ts'

const system = await startSystem({
  directory: scratch(t), graceMs: 3_600_000, members: 8, outsiders: 1,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '200', PANEL_DOUBLE_START_DELAY_MS: '50' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '1000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100' },
    reaper: { SWEEP_EVERY_MS: '1000', POSTPONE_MS: '1000' },
    bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100' },
  },
})
t.teardown(async () => { await system.close() })
const connection = await connectNats(system.nats.access('operator'), 'operator')
t.teardown(() => connection.close())
const jsm = await jetstreamManager(connection)
const { klaim, objects, heard } = klaimOf(system)

const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
const memberOf = (member: number): string => memberIdOf(system.memberIdKey, `${numberOf(member)}@s.whatsapp.net`)
const person = (member: number) => actor(system, numberOf(member))
async function left (member: number): Promise<string> {
  const claimId = await person(member).claimed('active')
  await person(member).leave()
  await person(member).becomes(claimId, 'deleting')
  return claimId
}
const install = async (how: string): Promise<void> => { await fetch(`${system.panelUrl}/__double/knobs`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ wings: { '*': { install: how } } }) }) }
const WHY = ['--why', 'asked by the admin, who rang from 0812 0000 0099']
/** How many events each stream ever held: what is only tried out adds none. */
const lengths = async (): Promise<number[]> => await Promise.all(['CLAIMS', 'OPERATIONS', 'DELETIONS', 'KV_brake', 'KV_admission'].map(async (name) => (await jsm.streams.info(name)).state.last_seq))
/** The words that stand on OPERATIONS for the newest operation, as `audit` has them. */
const newestWord = async (): Promise<Record<string, unknown> | undefined> => (await objects(['audit'])).objects.at(-1)

t.test('called wrongly', async (t) => {
  const calls = [['lsit'], ['list', '--statsu', 'active'], ['delete', randomUUID()], ['show', '0812 0000 0002'], ['show']]
  const complaints = ['Did you mean list?', 'Did you mean --status?', '--why is missing', 'so that it stays out of the shell', 'that is no WhatsApp number']
  for (const [n, ended] of (await Promise.all(calls.map(async (args) => await klaim(args)))).entries()) t.match(ended, { code: 64, said: '', complained: complaints[n] })
  t.match(await klaim(['list'], { env: { NATS_URL: '' } }), { code: 64, said: '', complained: 'NATS_URL is missing' })
  t.match(await klaim(['hold', '--help']), { code: 0, said: 'Usage: scripts/klaim hold [<claim id or member id>] --hours <n> --why <text> [options]' })
})

t.test('list and show', async (t) => {
  t.match(await klaim(['list']), { code: 0, said: 'There are no claims.\n' })
  await install('failure')
  const failed = await person(1).claimed('failed')
  await install('success')
  const active = await person(2).claimed('active')
  const { said } = await klaim(['list'])
  t.match(said, new RegExp(`^${active}  active +\\d+\\.\\d s  nodejs \\d+\n${failed}  failed +.* s  nodejs \\d+ +INSTALL_FAILED\n$`), 'the newest first, with status, age, offer, and the code')
  t.match(await klaim(['list', '--status', 'failed']), { code: 0, said: new RegExp(`^${failed} [^\n]*\n$`) })
  const pages = [await klaim(['list', '--limit', '1']), await klaim(['list', '--limit', '1', '--after', [active, failed].toSorted()[0] ?? ''])]
  t.match(pages[0]?.said, /^[^\n]+\nThere are more: --after [0-9a-f-]{36}\n$/, 'page by page')
  t.same(pages.map(({ said }) => said.slice(0, 36)), [active, failed].toSorted())
  const one = await objects(['list', '--status', 'active'])
  t.match(one, { code: 0, objects: [{ claim_id: active, member_id: memberOf(2), status: 'active', template: 'nodejs', server_id: Number, age_s: Number }] })
  t.equal(one.objects.length, 1)
  t.notOk('wa_jid' in (one.objects[0] ?? {}) || 'username' in (one.objects[0] ?? {}), 'of a person there is the pseudonym')

  t.match(await klaim(['show', active]), { code: 0, said: new RegExp(`^${active}  active [^]*\n  member_id +${memberOf(2)}\n`) })
  const [byMember, byNumber, stranger, unknown] = await Promise.all([objects(['show', memberOf(2)]), objects(['show'], { input: '0812 0000 0002\n' }), klaim(['show'], { input: '0812 0000 0008\n' }), klaim(['show', randomUUID()])])
  t.match(byMember.objects, [{ claim_id: active }], 'by member, too')
  t.match(byNumber.objects, [{ claim_id: active }], 'or by a number that is asked for')
  t.match(stranger, { code: 1, said: 'NOT_FOUND' })
  t.match(unknown, { code: 1, said: 'NOT_FOUND: there is no such claim, or it was erased (RUNBOOK.md#code-not-found)\n' })
  const revealed = [await klaim(['list', '--reveal']), await klaim(['show', active, '--reveal'])]
  t.ok(revealed.every(({ said }) => said.includes(numberOf(2))), 'numbers show where that was asked for in so many words')
  heard.splice(0, heard.length, ...heard.filter((text) => !revealed.some(({ said }) => said === text)))
})

t.test('retry', async (t) => {
  const [failed] = (await objects(['list', '--status', 'failed'])).objects
  const id = String(failed?.['claim_id'])
  const before = await lengths()
  t.same(await klaim(['retry', id, ...WHY, '--dry-run']), { code: 0, said: 'Would be done: it is asked for again. Nothing was changed.\n', complained: '' })
  t.same(await lengths(), before, 'tried out, which changes nothing')
  const done = await objects(['retry', id, ...WHY, '--template-version', '1'])
  t.match(done, { code: 0, objects: [{ claim_id: id, ok: true, outcome: 'done', dry_run: false, next_claim_id: /^[0-9a-f-]{36}$/ }] })
  await person(1).becomes(String(done.objects[0]?.['next_claim_id']), 'active')
  t.match(await newestWord(), { operation: 'retry', service: 'claim-store', claim_id: id, member_id: memberOf(1), by: 'budi', why: 'asked by the admin, who rang from [number]', detail: 'template version 1', outcome: 'done' }, 'who and why stand on OPERATIONS')
  t.match((await objects(['retry', id, ...WHY])).objects, [{ ok: false, code: 'NOT_CURRENT', runbook: 'RUNBOOK.md#code-not-current' }], 'and not twice')
  t.match(await newestWord(), { operation: 'retry', outcome: 'NOT_CURRENT' }, 'what was refused stands there, too')
})

t.test('delete, hold, release, extend', async (t) => {
  const id = await left(3)
  const dueOf = async (): Promise<number> => Date.parse(String((await objects(['show', id])).objects[0]?.['deletion_scheduled_at']))
  const promised = await dueOf()
  const before = await lengths()
  const tried = await Promise.all([['hold', '--hours', '24'], ['extend', '--hours', '2'], ['delete']].map(async (change) => await klaim([...change, id, ...WHY, '--dry-run'])))
  for (const each of tried) t.match(each, { code: 0, said: /^Would be done: .*Nothing was changed\.\n$/ }, 'is tried out')
  t.same(await lengths(), before, 'which changes nothing')
  t.match(await klaim(['hold', id, '--hours', '24', ...WHY, '--by', 'siti']), { code: 0, said: /^Done: the deletion is held until \d{4}-.* UTC\.\n$/ })
  t.match(await newestWord(), { operation: 'hold', by: 'siti', detail: 'for 24 h', outcome: 'done' })
  t.ok(await dueOf() > Date.now() + 23 * 3_600_000)
  t.match(await klaim(['hold', id, '--hours', '1', ...WHY]), { code: 1, said: 'NOT_LATER' })
  t.match(await klaim(['release', ...WHY], { input: '+62 812-0000-0003\n' }), { code: 0, said: /^Done: the server is due to go / }, 'by number')
  t.ok(Math.abs(await dueOf() - promised) < 60_000)
  t.match(await klaim(['release', id, ...WHY]), { code: 1, said: 'NOT_HELD' })
  t.match(await klaim(['extend', memberOf(3), '--hours', '2', ...WHY]), { code: 0 }, 'by member')
  t.ok(await dueOf() > promised + 3_600_000)
  t.match(await klaim(['delete', id, ...WHY]), { code: 0, said: 'Done: the server is due to go' })
  await person(3).becomes(id, 'deleted')
  t.match(await klaim(['delete', id, ...WHY]), { code: 0, said: /^So already: / }, 'what is so already is no failure')

  const [present] = (await objects(['list', '--status', 'active'])).objects
  const other = String(present?.['claim_id'])
  t.match(await klaim(['delete', other, ...WHY]), { code: 1, said: 'MEMBER_PRESENT' }, 'nobody in the group loses a server by a slip')
  t.match(await klaim(['hold', other, '--hours', '1', ...WHY]), { code: 1, said: 'NOT_SCHEDULED' })
  t.match(await klaim(['delete', other, ...WHY, '--even-if-present']), { code: 0 })
  await until('the server is gone', async () => (await panelState(system)).servers.some(({ externalId }) => externalId === other) ? undefined : true)
})

t.test('send-login', async (t) => {
  const id = await person(4).claimed('active')
  const passwords = async (): Promise<number> => (await person(4).chat()).filter(({ from, text }) => from === 'bot' && /^\S{32}$/.test(text)).length
  await until('the login has arrived', async () => await passwords() === 1 || undefined)
  t.match(await klaim(['send-login', id, ...WHY, '--dry-run']), { code: 0, said: 'Would be tried' })
  t.equal(await passwords(), 1)
  t.match(await klaim(['send-login', id, ...WHY]), { code: 0, said: 'Done: the new login is sent.\n' })
  await until('the new login has arrived', async () => await passwords() === 2 || undefined)
  t.match(await newestWord(), { operation: 'send_login', service: 'bot', by: 'budi' })
  t.match(await klaim(['send-login', id, ...WHY]), { code: 1, said: 'TOO_SOON' })
})

t.test('the brake', async (t) => {
  t.match(await klaim(['brake']), { code: 0, said: /^The brake is off/ })
  const before = await lengths()
  t.match(await klaim(['set-brake', ...WHY, '--dry-run']), { code: 0, said: /^Would be done: the brake is put on/ })
  t.same(await lengths(), before)
  t.match(await klaim(['set-brake', '--why', 'a look']), { code: 0, said: /^The brake is on since .* \(a look\): all deletions wait, until / })
  t.match((await objects(['brake'])).objects, [{ tripped: true, reason: 'a look' }])
  t.match(await newestWord(), { operation: 'set_brake', service: 'reaper', detail: 'on', by: 'budi', why: 'a look' })
  const id = await left(5)
  t.match(await klaim(['delete', id, ...WHY]), { code: 0 })
  const waiting = await until('the reaper says that it waits', async () => {
    const ended = await klaim(['why', id])
    return /looks again at .*: the brake is on/.test(ended.said) ? ended : undefined
  })
  t.match(waiting, { said: /\nWaits for: the brake to be released\nYou can: +scripts\/klaim brake\n +scripts\/klaim release-brake --why '…'/ }, 'why knows who holds a deletion')
  t.match(waiting, { said: /  operator +budi asked reaper for set_brake \(on\): done; “a look”\n/ }, 'and since when')
  t.match(await klaim(['release-brake', '--why', 'looked', '--dry-run']), { said: /^Would be done: the brake is released/ })
  t.match(await klaim(['release-brake', '--why', 'looked']), { code: 0, said: /^The brake is off/ })
  t.match((await objects(['release-brake', '--why', 'looked'])).objects, [{ outcome: 'already', tripped: false }])
  await person(5).becomes(id, 'deleted')
})

t.test('whether claims are taken', async (t) => {
  t.match(await klaim(['close-claims', ...WHY, '--dry-run']), { code: 0, said: 'Would be done' })
  t.match(await klaim(['close-claims', ...WHY]), { code: 0, said: 'Done: new claims are told CLAIMS_CLOSED.\n' })
  t.match(await person(6).claim(), { status: 503, body: { error: { code: 'CLAIMS_CLOSED' } } })
  t.match(await klaim(['open-claims', ...WHY]), { code: 0 })
  t.match(await newestWord(), { operation: 'open_claims', service: 'gateway', outcome: 'done', by: 'budi' })
  t.equal((await person(6).claim()).status, 202)
})

t.test('roster, doctor, drift, dead letters, erase', async (t) => {
  t.match(await klaim(['roster']), { code: 0, said: /^The bot knows who is in the group: \d+ people, last read .* ago; WhatsApp: open\.\n$/ })
  t.match(await objects(['doctor']), { code: 1, objects: [{ check: 'panel-key' }] }, 'the doctor is the same as scripts/doctor')
  t.match(await klaim(['drift', 'plan']), { code: 64, complained: 'PANEL_URL is missing' }, 'so is drift')
  const { seq } = await jetstream(connection).publish(`servers.${randomUUID()}.ready`, `${numberOf(7)}@s.whatsapp.net`)
  const [letter] = await until('nobody can read it', async () => {
    const { objects: found } = await objects(['dead-letters', 'list'])
    return found.length > 0 ? found : undefined
  })
  t.match(letter, { reason: 'MESSAGE_INVALID', original_sequence: seq, consumer: 'claim-store-servers', runbook: 'RUNBOOK.md#code-message-invalid' })
  const sequence = String(letter?.['sequence'])
  t.match(await klaim(['dead-letters', 'show', sequence]), { code: 0, said: '[hidden]' })
  t.match(await klaim(['dead-letters', 'replay', sequence]), { code: 2, said: 'MESSAGE_INVALID' })
  t.match(await klaim(['dead-letters', 'discard', sequence, ...WHY]), { code: 0, said: 'Erased' })
  t.match(await klaim(['dead-letters', 'show', sequence]), { code: 1 })
  t.match(await newestWord(), { operation: 'discard_dead_letter', detail: `dead letter ${sequence}` })

  t.match(await klaim(['erase', memberOf(3), '--dry-run']), { code: 0, said: `Would be erased: ${memberOf(3)}. Nothing was changed.\n` })
  t.match(await klaim(['erase', memberOf(4), '--dry-run']), { code: 2, said: 'There is a server' })
  t.match(await klaim(['show', memberOf(3)]), { code: 0 })
  t.match(await klaim(['erase', ...WHY], { input: '0812 0000 0003\n' }), { code: 0, said: `Erased: ${memberOf(3)}` })
  t.match(await klaim(['show', memberOf(3)]), { code: 1 })
})

t.test('audit', async (t) => {
  const { objects: all } = await objects(['audit'])
  t.ok(all.length > 15 && all.every(({ by, why, outcome }) => typeof by === 'string' && typeof why === 'string' && outcome !== null), 'everything that was done, by whom, why, and what came of it')
  t.notOk(all.some(({ operation, outcome }) => operation === 'hold' && outcome === 'done'), 'but for what was about somebody who is forgotten')
  const { objects: of } = await objects(['audit', '--of', memberOf(1)])
  t.same([...new Set(of.map(({ member_id }) => member_id))], [memberOf(1)])
  t.same((await objects(['audit', '--ask'], { input: '0812 0000 0001\n' })).objects, of)
  t.match((await klaim(['audit', '--of', memberOf(1)])).said, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC {2}budi {2}claim-store\.retry \(template version 1\) {2}claim [0-9a-f-]{36} {2}done {2}“asked by the admin, who rang from \[number\]”\n/)
  t.match(await klaim(['audit', '--since', '1s']), { code: 0, said: /^$|Nobody had anything done/ })
  t.match(await klaim(['audit', '--of', randomUUID()]), { code: 1 })
})

t.test('why', async (t) => {
  const id = await person(7).claimed('active')
  await until('the login has arrived', async () => (await person(7).chat()).length >= 2 || undefined)
  await person(7).leave()
  await person(7).becomes(id, 'deleting')
  await person(7).join()
  await person(7).becomes(id, 'active')
  await klaim(['delete', id, '--why', 'they asked, from +62 812 0000 0007', '--even-if-present'])
  await person(7).becomes(id, 'deleted')
  const said = await until('the farewell is told', async () => {
    const { said: now } = await klaim(['why', id])
    return now.includes('WhatsApp took that the server is gone') ? now : undefined
  })
  const lines = said.split('\n')
  const told = lines.slice(0, lines.indexOf('')).map((line) => /^(\d{4}-\S+Z) +\+(.+?)  (\S+) +(.*)$/.exec(line)?.slice(1) ?? [line])
  const STORY: ReadonlyArray<readonly [string, RegExp]> = [
    ['claim-store', /^took the claim: nodejs, version/], ['provisioner', /^took it in hand/], ['provisioner', /account/], ['provisioner', /port/], ['provisioner', /make the server/], ['provisioner', /installation/], ['provisioner', /until the server answers/], ['provisioner', /is installed and answers/],
    ['claim-store', /^it is active/], ['notifier', /the login/], ['bot', /^WhatsApp took the login/],
    ['bot', /^the group no longer shows the member/], ['claim-store', /^the member left at/], ['notifier', /the warning/],
    ['bot', /^the group shows the member again/], ['claim-store', /^the server stays: the member came back/],
    ['operator', /^budi asked claim-store for delete \(even if present\): done; “they asked, from \[number\]”$/], ['claim-store', /^the server goes now, on an operator's word, whoever is in the group/],
    ['NATS', /^woke the reaper/], ['reaper', /^confirmed the deletion without a look at the group/], ['claim-store', /no way back/], ['provisioner', /^the panel no longer has the server/], ['claim-store', /^it is over/],
    ['notifier', /that the server is gone/], ['bot', /^WhatsApp took that the server is gone/],
  ]
  // Whoever says it tells its part in order; between two that know nothing of each other there is none.
  for (const teller of new Set(STORY.map(([who]) => who))) {
    const [part, wanted] = [told.filter(([, , who]) => who === teller).map(([, , , what = '']) => what), STORY.filter(([who]) => who === teller).map(([, words]) => words)]
    let from = 0
    for (const words of wanted) {
      const at = part.findIndex((what, n) => n >= from && words.test(what))
      t.ok(at >= 0, `${teller}: ${String(words)}, in its turn`)
      from = at + 1
    }
  }
  t.equal(told[0]?.[1], '0.0 s')
  t.ok(told.every(([at = ''], n) => n === 0 || at >= (told[n - 1]?.[0] ?? '')), 'in the order of NATS')
  t.match(said, new RegExp(`\n\nClaim ${id} of member ${memberOf(7)}\nNow: +over: deleted .* ago\nWaits for: nothing\nYou can: +scripts/erase ${id} `), 'then where it stands')
  const { objects: events } = await objects(['why', id])
  t.match(events[0], { time: String, after_s: 0, who: 'claim-store', stream: 'CLAIMS', event: 'claim.requested', claim_id: id, member_id: memberOf(7) })
  t.match(events.at(-1), { claim_id: id, status: 'deleted', waits_for: null, can: [String], by_streams_alone: false })
  const [earlier] = (await objects(['why', memberOf(1)])).objects.slice(-1)
  t.match(earlier, { member_id: memberOf(1) }, 'by member it is the newest claim')

  // Somebody forges a word about it; and claim-store is away.
  await jetstream(connection).publish(`servers.${id}.ready`, 'this is no event of ours')
  t.match(await until('the letter is written', async () => {
    const { said: now } = await klaim(['why', id])
    return now.includes('dead-letters show') ? now : undefined
  }), /  somebody +wrote what is no event of ours\n[^]*gave up on servers ready after \d+ tries: MESSAGE_INVALID\n[^]*Waits for: a person: a dead letter is about it\n/)
  await system.kill('claim-store', 'SIGTERM')
  t.match(await klaim(['why', id]), { code: 0, said: /\nclaim-store does not answer; this is what the streams say\.\nNow: +over: deleted/ }, 'which the streams tell all the same')
  t.match(await klaim(['list']), { code: 69, said: 'CLAIM_STORE_AWAY' })
  t.match((await objects(['show', id])).objects, [{ ok: false, code: 'CLAIM_STORE_AWAY' }])
  t.match(await klaim(['hold', id, '--hours', '1', ...WHY]), { code: 69, said: 'CLAIM_STORE_AWAY: it may or may not have been done. Asking again is safe' })
  await system.start('claim-store')
})

t.test('where NATS is away, or does not know the key', async (t) => {
  const elsewhere = await klaim(['list'], { env: { NATS_URL: 'nats://127.0.0.1:1' } })
  t.match(elsewhere, { code: 69, said: 'NATS_UNAVAILABLE: NATS cannot be reached: nothing has happened.\n' })
  const stranger = (await import('../../deploy/secrets/nats-seed.ts')).newSeed()
  t.match(await klaim(['list'], { env: { NATS_NKEY_SEED_FILE: '', NATS_NKEY_SEED: stranger } }), { code: 69, said: 'NATS_REFUSED' })
})

t.test('nobody was shown by their number', async (t) => {
  t.ok(heard.length > 100, 'much was said')
  t.same(heard.filter((text) => /62812\d{5,}|0812[ -]?0000|@s\.whatsapp|@lid/.test(text)), [])
})
