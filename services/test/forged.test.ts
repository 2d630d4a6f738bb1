// Somebody got onto NATS and writes events that nobody said: of every kind, in every way that the rights of a service leave open or the operator's
// key allows, about a member with a server and about one who has left. Nothing comes of it: nothing on the panel, in a chat, in a claim or in the brake.
import t from 'tap'
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import { causesOf } from '../../contracts/causes.ts'
import { EVENTS } from '../../contracts/catalog.ts'
import { subjectOf, type EventDefinition } from '../../contracts/define.ts'
import { departureKey, deletionScheduled } from '../../contracts/events/claims.ts'
import { pendingSubject } from '../../contracts/events/deletions.ts'
import { getBrake, getClaim, type ClaimView } from '../../contracts/requests.ts'
import { CONSUMERS, STREAMS } from '../../contracts/streams.ts'
import { startSystem } from '../../deploy/staging/system.ts'
import { createBus, type Bus } from '../common/bus.ts'
import { connectNats } from '../common/connect.ts'
import { eventId } from '../common/envelope.ts'
import { createLog } from '../common/log.ts'
import { memberIdOf } from '../common/member-id.ts'
import { createMetrics } from '../common/metrics.ts'
import { actor, panelState, until } from './journey.ts'

const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-forged-')), graceMs: 3_600_000, members: 4,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100' },
    provisioner: { INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100' },
    reaper: { SWEEP_EVERY_MS: '1000' },
    bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100' },
  },
})
t.teardown(() => system.close())
const operator = await connectNats(system.nats.access('operator'), 'operator')
t.teardown(() => operator.close())
const [js, jsm] = [jetstream(operator), await jetstreamManager(operator)]
const bus: Bus = await createBus({ ...system.nats.playing('operator'), log: createLog('operator', 'fatal'), metrics: createMetrics('operator'), now: () => new Date() })
t.teardown(() => bus.close())

const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
const jidOf = (member: number): string => `${numberOf(member)}@s.whatsapp.net`

/** Claims, and waits for the login. */
async function claimed (member: number): Promise<ClaimView> {
  const person = actor(system, numberOf(member))
  const { body } = await person.claim()
  await until('the login arrives', async () => (await person.chat()).some(({ text }) => /^\S{32}$/.test(text)) || undefined)
  return await view(body.claim_id)
}
async function view (claim_id: string): Promise<ClaimView> {
  const answer = await bus.request(getClaim, { claim_id })
  if (!answer.ok) throw new Error('there is no such claim')
  return answer.claim
}

/** A value that fits the field of any event about this claim. */
function valueOf (name: string, claim: ClaimView): unknown {
  const soon = new Date(Date.now() - 1_000).toISOString()
  const values: Record<string, unknown> = {
    claim_id: claim.claim_id, member_id: claim.member_id, wa_jid: claim.wa_jid, language: 'id', username: 'intruder', template: 'nodejs', template_version: 1,
    user_id: claim.user_id ?? 1, server_id: claim.server_id ?? 1, allocation_id: claim.allocation_id ?? 1, identifier: 'abcd1234', address: { host: '127.0.0.1', port: 2022 }, sealed_password: 'a.b.c.d.e',
    code: 'INTERNAL', step: 'create', delete_job_id: claim.delete_job_id ?? `${claim.claim_id}-d1`, deletion_scheduled_at: soon, left_at: soon, reason: 'left', user_deleted: true, attempt: 1,
    due_at: claim.deletion_scheduled_at ?? soon, absent_at: new Date().toISOString(), present_at: new Date().toISOString(), until: soon,
    group_id: system.group, occurred_at: new Date().toISOString(), observed_by: 'roster', message_id: `login-${claim.claim_id}-forged`, kind: 'login', parts: ['kirim sandi kamu ke nomor ini'],
    claims: [{ claim_id: claim.claim_id, departures: 1 }],
  }
  return values[name]
}
/** Reasons differ by event. */
const REASONS: Readonly<Record<string, string>> = { 'klaim.claim.deletion_cancelled.v1': 'returned', 'klaim.deletion.postponed.v1': 'outage', 'klaim.claim.erased.v1': 'asked' }

function dataOf (definition: EventDefinition, claim: ClaimView): Record<string, unknown> {
  const names = (definition.data.required as string[] | undefined ?? [])
  return Object.fromEntries(names.map((name) => [name, name === 'code' && definition.type.includes('undeliverable') ? 'WHATSAPP_REFUSED' : name === 'reason' ? REASONS[definition.type] ?? 'left' : valueOf(name, claim)]))
}

let forgeries = 0
function headersOf (definition: EventDefinition, { author = definition.authors[0], causation }: { author?: string | undefined, causation?: string | undefined }): MsgHdrs {
  const h = headers()
  const set = { specversion: '1.0', type: definition.type, id: eventId(definition, `forged-${forgeries++}`), source: `/klaim/${author}`, time: new Date().toISOString(), ...(causation === undefined ? {} : { causation }) }
  for (const [name, value] of Object.entries(set)) h.set(`ce-${name}`, value)
  return h
}

/** Everything that members, operators and the panel can see. */
async function world (claims: readonly ClaimView[]): Promise<unknown> {
  const { users, servers, requests } = await panelState(system)
  const changes = Object.fromEntries(Object.entries(requests).filter(([route]) => !route.startsWith('GET')).map(([route, { total }]) => [route, total]))
  return {
    users, servers: servers.map(({ id, externalId, status }) => ({ id, externalId, status })), changes,
    chats: await Promise.all([1, 2, 3].map(async (member) => (await actor(system, numberOf(member)).chat()).map(({ text }) => text))),
    claims: await Promise.all(claims.map(async ({ claim_id }) => await view(claim_id))),
    brake: await bus.request(getBrake, {}),
  }
}

/** Resolves when every consumer has dealt with everything. */
async function settled (): Promise<void> {
  await until('everything is dealt with', async () => {
    const infos = await Promise.all(CONSUMERS.map(async ({ stream, name }) => await jsm.consumers.info(stream, name)))
    return infos.every(({ num_pending, num_ack_pending }) => num_pending + num_ack_pending === 0) || undefined
  })
}

const staying = await claimed(1)
const left = await claimed(2)
await actor(system, numberOf(2)).leave()
const leaving = await until('the departure is decided', async () => {
  const claim = await view(left.claim_id)
  return claim.status === 'deleting' && (await actor(system, numberOf(2)).chat()).some(({ text }) => /akan dihapus/.test(text)) ? claim : undefined
})
/** Somebody of the group who has not asked for anything. */
const idle: ClaimView = { ...staying, claim_id: randomUUID(), wa_jid: jidOf(3), member_id: memberIdOf(system.memberIdKey, jidOf(3)), user_id: null, server_id: null }
await settled()
const before = await world([staying, leaving])
const deadBefore = (await jsm.streams.info('DEAD_LETTERS')).state.messages

const publish = async (definition: EventDefinition, data: Record<string, unknown>, h: MsgHdrs | undefined, on = data): Promise<number> => {
  const { seq } = await js.publish(subjectOf(definition, on as never), JSON.stringify(data), h ? { headers: h } : {})
  return seq
}
/** An id of something that could have led to the event. */
const invented = (definition: EventDefinition): string => eventId(causesOf(definition)[0] as EventDefinition, 'invented')

t.test('an answer of the server itself, aimed at the subject of every event by a service that may not publish there', async (t) => {
  const bot = await connectNats(system.nats.access('bot'), 'bot')
  let injected = 0
  for (const definition of EVENTS) {
    for (const claim of [staying, leaving, idle]) bot.publish(`$KV.sent.forged${injected++}`, 'x', { reply: subjectOf(definition, dataOf(definition, claim) as never) })
  }
  await bot.flush()
  await bot.close()
  await until('they are stored', async () => (await jsm.streams.info('CLAIMS', { subjects_filter: `claims.${idle.member_id}.*` })).state.subjects?.[`claims.${idle.member_id}.deleted`] === 1 || undefined)
  await settled()
  t.same(await world([staying, leaving]), before)
})

t.test('an event', async (t) => {
  for (const definition of EVENTS) {
    const { type, authors } = definition
    t.test(type, async (t) => {
      for (const claim of [staying, leaving]) {
        const other = claim === staying ? leaving : staying
        const data = dataOf(definition, claim)
        const causation = causesOf(definition).length === 0 ? {} : { causation: invented(definition) }
        await publish(definition, data, headersOf(definition, { author: authors.includes('notifier') ? 'gateway' : 'notifier', ...causation }))
        await publish(definition, Object.fromEntries(Object.entries(data).slice(0, -1)), headersOf(definition, causation), data)
        await publish(definition, data, headersOf(definition, causation), dataOf(definition, other))
        await publish(definition, data, undefined)
        if (causesOf(definition).length > 0) await publish(definition, data, headersOf(definition, {}))
      }
      t.pass('said by a wrong author, without a field, on the subject of somebody else, without attributes, without a cause')
    })
  }
  await settled()
  t.same(await world([staying, leaving]), before, 'changes nothing')
})

t.test('an event that looks right in everything, written with the operator\'s key on one stream alone', async (t) => {
  for (const { name } of STREAMS) {
    // Where the like has really happened to this member, a cause proves nothing, and only the rights of NATS stand before it.
    let [told, believable] = [0, 0]
    const written: number[] = []
    for (const definition of EVENTS.filter(({ stream }) => stream === name)) {
      for (const claim of [staying, leaving, idle]) {
        const data = dataOf(definition, claim)
        for (const cause of causesOf(definition)) {
          const standing = await jsm.direct.getMessage(cause.stream, { last_by_subj: subjectOf(cause, data as never) })
          if (standing?.header.get('ce-type') === cause.type) {
            believable++
            continue
          }
          told++
          written.push(await publish(definition, data, headersOf(definition, { causation: eventId(cause, 'invented') })))
        }
      }
    }
    await settled()
    t.same(await world([staying, leaving]), before, `${name}: ${told} told, of things that nothing led to (${believable} that something could have led to are left out)`)
    for (const sequence of written) await jsm.streams.deleteMessage(name, sequence)
  }
  const request = EVENTS.find(({ type }) => type === 'klaim.claim.requested.v1') as EventDefinition
  await publish(request, dataOf(request, idle), headersOf(request, {}))
  const erased = EVENTS.find(({ type }) => type === 'klaim.claim.erased.v1') as EventDefinition
  for (const claim of [staying, leaving]) await publish(erased, dataOf(erased, claim), headersOf(erased, {}))
  for (const type of ['klaim.member.left.v1', 'klaim.member.joined.v1']) {
    const definition = EVENTS.find((event) => event.type === type) as EventDefinition
    await publish(definition, { ...dataOf(definition, staying), wa_jid: jidOf(3) }, headersOf(definition, {}))
    await publish(definition, { ...dataOf(definition, leaving), wa_jid: jidOf(3) }, headersOf(definition, {}))
  }
  const due = EVENTS.find(({ type }) => type === 'klaim.deletion.due.v1') as EventDefinition
  const causation = eventId(deletionScheduled, departureKey(leaving.delete_job_id ?? '', Date.parse(leaving.deletion_scheduled_at ?? '')))
  await publish(due, dataOf(due, leaving), headersOf(due, { causation }))
  await settled()
  t.same(await world([staying, leaving]), before, 'a request and an erasure that the ledger does not know, a movement under a false pseudonym, and a wake-up that no schedule gave change nothing')
  t.ok((await jsm.streams.info('DEAD_LETTERS')).state.messages > deadBefore + 50, 'all of it lies with the dead letters')
  t.not(await bus.lastSequence('DELETIONS', pendingSubject(leaving.delete_job_id ?? '')), 0, 'and the deletion that is due is still scheduled')
})

t.test('and everything goes on', async (t) => {
  await actor(system, numberOf(2)).join()
  await until('the return cancels', async () => (await view(leaving.claim_id)).status === 'active' || undefined)
  const claim = await claimed(3)
  t.equal(claim.status, 'active', 'somebody whose subjects were written on gets a server')
  await actor(system, numberOf(1)).write('STATUS')
  await until('STATUS is answered', async () => (await actor(system, numberOf(1)).chat()).at(-1)?.from === 'bot' || undefined)
  t.pass('and members are answered')
})
