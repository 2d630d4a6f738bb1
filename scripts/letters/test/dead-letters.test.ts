// Dead letters of a claim-store that runs with its own rights, as an operator works on them.
import t, { type Test } from 'tap'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { headers } from '@nats-io/transport-node'
import { DEAD_LETTER_HEADERS, deadSubject } from '../../../contracts/events/dead-letters.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { serverReady } from '../../../contracts/events/servers.ts'
import { createClaim, getClaim } from '../../../contracts/requests.ts'
import { claimStoreMembers, claimStoreServers, type ConsumerDefinition } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import { start } from '../../../services/claim-store/main.ts'
import { createBus } from '../../../services/common/bus.ts'
import { createLog } from '../../../services/common/log.ts'
import { memberIdOf } from '../../../services/common/member-id.ts'
import { createMetrics } from '../../../services/common/metrics.ts'
import { scratch } from '../../../services/common/test/scratch.ts'
import { openDeadLetters } from '../letters.ts'

const MEMBER_ID_KEY = 'k'.repeat(32)
const nats = await startKlaimNats()
t.teardown(() => nats.close())
const lines: string[] = []
const log = createLog('claim-store', 'trace', (line) => lines.push(line))
const startStore = async (bookFile: string) => await start({
  ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS: 'l'.repeat(32), BOOK_FILE: bookFile, BOOK_EVERY_MS: 20, GRACE_MS: 3_600_000, RETENTION_DAYS: 90, LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000,
}, { log, metrics: createMetrics('claim-store'), now: () => new Date() })
const bus = await createBus({ ...nats.access('operator'), service: 'operator', log: createLog('operator', 'silent', () => {}), metrics: createMetrics('operator'), now: () => new Date() })
const bot = await createBus({ ...nats.playing('bot'), log, metrics: createMetrics('bot'), now: () => new Date() })
const provisioner = await createBus({ ...nats.playing('provisioner'), log, metrics: createMetrics('provisioner'), now: () => new Date() })
const store = await startStore(join(scratch(t), 'claims.json'))
t.teardown(async () => {
  await store.stop()
  await Promise.all([bus, bot, provisioner].map(async (each) => { await each.close() }))
})
const letters = openDeadLetters(bus)
const { js, jsm } = bus.raw

let number = 6281200000000
/** Somebody nobody has met, who will ask for a server. */
function somebody () {
  const wa_jid = `${++number}@s.whatsapp.net`
  return { wa_jid, member_id: memberIdOf(MEMBER_ID_KEY, wa_jid), claim_id: randomUUID() }
}
type Somebody = ReturnType<typeof somebody>

async function until<Seen> (what: string, look: () => Promise<Seen | undefined>): Promise<Seen> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const seen = await look()
    if (seen !== undefined) return seen
  }
  throw new Error(`never happened: ${what}`)
}
const ask = async ({ wa_jid, claim_id }: Somebody) => await bus.request(createClaim, { claim_id, wa_jid, username: 'member', template: 'nodejs', template_version: 1, language: 'id' })
const becomes = async ({ claim_id }: Somebody, status: string) => await until(`the claim is ${status}`, async () => {
  const answer = await bus.request(getClaim, { claim_id })
  return answer.ok && answer.claim.status === status ? answer.claim : undefined
})
const ready = async ({ claim_id, member_id }: Somebody) => await provisioner.publish(serverReady, {
  key: claim_id, causation: `claim.requested.v1:${claim_id}`, correlation: claim_id,
  data: { claim_id, member_id, user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node', port: 25565 }, username: 'member', sealed_password: 'eyJhbGciOiJFQ0RILUVTIn0.b.c.d.e' },
})
const moves = async (definition: typeof memberLeft, { wa_jid, member_id }: Somebody) => await bot.publish(definition, {
  key: randomUUID(), data: { member_id, wa_jid, group_id: '120363000000@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' },
})
const standing = async (stream: string): Promise<number> => (await jsm.streams.info(stream)).state.messages
const letterAbout = async (stream: string, sequence: number): Promise<number> =>
  await until('it is a dead letter', async () => (await letters.list(1, 200)).find(({ letter }) => letter?.consumer.stream === stream && letter.originalSequence === sequence)?.sequence)

/** A letter as consume.ts writes it, or with something changed. */
async function letterOf (consumer: ConsumerDefinition, stream: string, sequence: number, { body, changed = {}, subject, name }: { body?: Uint8Array, changed?: Record<string, string>, subject?: string, name?: string } = {}): Promise<number> {
  const original = await jsm.direct.getMessage(stream, { seq: sequence })
  if (!original) throw new Error('there is no original')
  const h = headers()
  for (const [key, values] of original.header) if (!key.startsWith('Nats-')) for (const value of values) h.append(key, value)
  const facts = { reason: 'DELIVERIES_EXHAUSTED', subject: subject ?? original.subject, stream, sequence: String(sequence), consumer: name ?? consumer.name, deliveries: '12', at: new Date().toISOString() }
  for (const [key, value] of Object.entries(facts)) h.set(DEAD_LETTER_HEADERS[key as keyof typeof facts], value)
  for (const [key, value] of Object.entries(changed)) h.set(key, value)
  return (await js.publish(deadSubject(subject ?? original.subject), body ?? original.data, { headers: h })).seq
}

/** Word of a server for which there is no request, and then there is. */
async function lateRequest (t: Test) {
  const member = somebody()
  const { sequence: original } = await ready(member)
  const sequence = await letterAbout('SERVERS', original)
  t.match(await letters.list(sequence, 1), [{ letter: { reason: 'CAUSE_UNKNOWN', consumer: claimStoreServers, claimId: member.claim_id, help: 'RUNBOOK.md#code-cause-unknown' } }])
  await ask(member)
  await becomes(member, 'creating')
  return { member, original, sequence }
}

t.test('a replay', async (t) => {
  t.test('has the consumer handle what it could not, once', async (t) => {
    const { member, original, sequence } = await lateRequest(t)
    const [servers, ledger] = [await standing('SERVERS'), await standing('CLAIMS')]
    t.match(await letters.replay(sequence, 'on call'), { kind: 'replayed', letter: { originalSequence: original } })
    t.match(await becomes(member, 'active'), { server_id: 8 })
    t.same([await standing('SERVERS'), await standing('CLAIMS')], [servers, ledger + 1], 'puts no second copy anywhere, and is one decision')
    t.same(await letters.replay(sequence, 'on call'), { kind: 'gone' }, 'and the letter is gone')

    const again = await letterOf(claimStoreServers, 'SERVERS', original)
    t.match(await letters.replay(again, 'on call'), { kind: 'replayed' }, 'whoever died before the letter was erased does it again')
    t.equal(await standing('CLAIMS'), ledger + 1, 'and nothing is decided twice')
    const both = await Promise.all([1, 2].map(async () => await letterOf(claimStoreServers, 'SERVERS', original)))
    const outcomes = await Promise.all(both.flatMap((each) => [letters.replay(each, 'one'), letters.replay(each, 'other')]))
    t.ok(outcomes.every((outcome) => outcome.kind === 'replayed' || outcome.kind === 'gone' || outcome.kind === 'failed' && outcome.code === 'BUSY'), 'nor by operators who do it at once')
    t.equal(await standing('CLAIMS'), ledger + 1)
    for (const each of both) await letters.discard(each, 'on call', 'handled')
  })

  t.test('that fails again leaves the letter', async (t) => {
    const member = somebody()
    const { sequence: original } = await moves(memberLeft, { ...member, member_id: somebody().member_id })
    const sequence = await letterAbout('MEMBERS', original)
    for (let time = 0; time < 2; time++) t.match(await letters.replay(sequence, 'on call'), { kind: 'failed', code: 'MESSAGE_INVALID' })
    t.ok(await letters.read(sequence))
    t.ok(lines.some((line) => /replayed and failed again/.test(line) && line.includes('"by":"on call"')), 'and says in the log who tried')
    await letters.discard(sequence, 'on call', 'tried')
  })

  t.test('of a departure whose member has come back changes nothing', async (t) => {
    const member = somebody()
    await ask(member)
    await becomes(member, 'creating')
    await ready(member)
    await becomes(member, 'active')
    const { sequence: left } = await moves(memberLeft, member)
    await becomes(member, 'deleting')
    const { sequence: joined } = await moves(memberJoined, member)
    await becomes(member, 'active')
    const ledger = await standing('CLAIMS')
    for (const sequence of [left, joined, left]) t.match(await letters.replay(await letterOf(claimStoreMembers, 'MEMBERS', sequence), 'on call'), { kind: 'replayed' })
    t.match(await becomes(member, 'active'), { deletion_scheduled_at: null })
    t.equal(await standing('CLAIMS'), ledger)
  })

  t.test('of what nobody said is refused before anybody is asked', async (t) => {
    const member = somebody()
    const { sequence } = await moves(memberJoined, member)
    const { sequence: other } = await moves(memberJoined, somebody())
    const before = lines.length
    const of = async (change: Parameters<typeof letterOf>[3]): Promise<number> => await letterOf(claimStoreMembers, 'MEMBERS', sequence, change)
    const forged = {
      'another body': await of({ body: Buffer.from('{}') }),
      'another author': await of({ changed: { 'ce-source': '/klaim/gateway' } }),
      'one header more': await of({ changed: { 'ce-correlation': member.claim_id } }),
      "another's place": await of({ changed: { [DEAD_LETTER_HEADERS.sequence]: String(other) } }),
      'no place': await of({ changed: { [DEAD_LETTER_HEADERS.sequence]: '0' } }),
      'a consumer that does not read it': await of({ name: claimStoreServers.name }),
      'a consumer that is none of ours': await of({ name: 'anything' }),
      'a reason that is none': await of({ changed: { [DEAD_LETTER_HEADERS.reason]: '\u001b[2Jgone' } }),
      'a foreign subject': await of({ subject: 'claims.x.requested' }),
      'the subject of a number': await of({ subject: 'members.62812-0000@x.left' }),
    }
    for (const [what, letter] of Object.entries(forged)) t.same(await letters.replay(letter, 'on call'), { kind: 'forged' }, what)
    t.same(lines.slice(before).filter((line) => line.includes('replayed')), [])
    const orphan = await of({})
    await jsm.streams.deleteMessage('MEMBERS', sequence)
    t.same(await letters.replay(orphan, 'on call'), { kind: 'original_gone' }, 'nor is what no longer stands on its stream')
    for (const letter of [orphan, ...Object.values(forged)]) t.ok(await letters.discard(letter, 'on call', 'forged'))
  })
})

t.test('a discarded letter leaves a line in the log and no byte on the disk', async (t) => {
  const member = somebody()
  const { sequence: original } = await moves(memberLeft, { ...member, member_id: somebody().member_id })
  const sequence = await letterAbout('MEMBERS', original)
  await jsm.streams.deleteMessage('MEMBERS', original, true)
  t.not(filesHolding(nats.storeDir, member.wa_jid).length, 0)
  t.equal(await letters.discard(sequence, 'on call', 'a test'), true)
  t.same(filesHolding(nats.storeDir, member.wa_jid), [])
  t.equal(await letters.discard(sequence, 'on call', 'a test'), false, 'once')
  const said = lines.filter((line) => line.includes('a dead letter is discarded')).map((line) => JSON.parse(line) as object)
  t.match(said.at(-1), { sequence, reason: 'MESSAGE_INVALID', consumer: 'claim-store-members', type: 'klaim.member.left.v1', by: 'on call', why: 'a test' })
})

t.test('scripts/dead-letters', async (t) => {
  const run = async (args: string[], url = nats.url) => await new Promise<{ code: number, said: string }>((resolve) => {
    execFile(process.execPath, [join(import.meta.dirname, '../../dead-letters.ts'), ...args], { env: { ...process.env, ...nats.env('operator'), NATS_URL: url, SUDO_USER: 'somebody' } }, (error, stdout) => {
      resolve({ code: error ? Number(error.code) : 0, said: stdout })
    })
  })
  t.same(await run(['list']), { code: 0, said: 'There are no dead letters.\n' })
  const { member, sequence } = await lateRequest(t)
  const { sequence: movement } = await moves(memberLeft, { ...member, member_id: somebody().member_id })
  const second = await letterAbout('MEMBERS', movement)
  const listed = await run(['list'])
  t.match(listed, { code: 0, said: new RegExp(`^${sequence}  .*CAUSE_UNKNOWN  claim-store-servers  servers.${member.claim_id}.ready  claim ${member.claim_id}  after 4  RUNBOOK.md#code-cause-unknown$`, 'm') })
  t.match(await run(['list', '--from', String(sequence + 1)]), { said: new RegExp(`^${second} `) })
  const shown = [await run(['show', String(sequence)]), await run(['show', String(second)])].map(({ said }) => said).join('')
  t.match(shown, `"claim_id": "${member.claim_id}"`)
  t.match(shown, '"wa_jid": "[hidden]"')
  for (const secret of [member.wa_jid.slice(0, 13), '628120', 'eyJ', '25565', 'member"']) t.notOk((shown + listed.said).includes(secret), `${secret} is not shown`)
  t.match(await run(['show', String(second), '--reveal']), { said: member.wa_jid })
  t.match(await run(['show', String(sequence), '--reveal']), { said: 'eyJhbGciOiJFQ0RILUVTIn0.b.c.d.e' })
  t.match(await run(['replay', String(sequence), '--dry-run', '--json']), { code: 0, said: '{"ok":true,"dry_run":true}' })
  t.match(await run(['replay', String(sequence)]), { code: 0, said: 'claim-store-servers has handled it' })
  t.match(await run(['replay', String(sequence)]), { code: 1, said: 'no such dead letter' })
  t.match(await run(['replay', String(second)]), { code: 2, said: 'MESSAGE_INVALID: claim-store-members could not handle it' })
  const misunderstood = [[], ['replay'], ['replay', 'x'], ['list', '1'], ['show', '1', '2'], ['replay', '1', '--from', '1'], ['discard', String(second)], ['discard', String(second), '--why', ''], ['purge', '1']]
  t.ok((await Promise.all(misunderstood.map(async (wrong) => await run(wrong)))).every(({ code, said }) => code === 64 && said === ''), 'knows when it is called wrongly')
  t.match(await run(['discard', String(second), '--why', 'a test', '--dry-run']), { code: 0, said: 'Would be erased' })
  t.match((await run(['list', '--json'])).said, `"sequence":${second},`, 'and it is still there')
  t.match(await run(['discard', String(second), '--why', 'a test']), { code: 0, said: 'Erased' })
  t.match(await run(['show', String(second)]), { code: 1 })
  await store.stop()
  const { sequence: last } = await moves(memberJoined, somebody())
  t.match(await run(['replay', String(await letterOf(claimStoreMembers, 'MEMBERS', last))]), { code: 69, said: 'CLAIM_STORE_AWAY' }, 'says when the service is away')
})
