import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { Registry } from 'prom-client'
import { claimActivated, claimRequested, deletionScheduled } from '../../../contracts/events/claims.ts'
import { deletionDue, pendingSubject } from '../../../contracts/events/deletions.ts'
import { memberLeft } from '../../../contracts/events/members.ts'
import { eraseMember, setBrake } from '../../../contracts/requests.ts'
import { brakeBucket, CONSUMERS, provisioningBucket } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { startPanel } from '../../../deploy/staging/panel/panel.ts'
import { createBus, type Bus } from '../../../services/common/bus.ts'
import type { ServiceName } from '../../../contracts/define.ts'
import { codeOf } from '../../../services/common/fault.ts'
import { createLog } from '../../../services/common/log.ts'
import { memberIdOf } from '../../../services/common/member-id.ts'
import { createMetrics } from '../../../services/common/metrics.ts'
import { onWord } from '../../../services/common/operations.ts'
import { createMac } from '../../../services/claim-store/mac.ts'
import { checkKey } from '../../../services/claim-store/key-check.ts'
import { createPanelBudget } from '../../../services/provisioner/panel-budget.ts'
import { createPanelClient } from '../../../services/provisioner/panel-client.ts'
import { createPterodactyl } from '../../../services/provisioner/pterodactyl.ts'
import { BACKUP, messagesOf } from '../ledger.ts'
import { confirm, rekey, survey } from '../rekey.ts'

const mac = createMac('l'.repeat(32))
const keys = { old: 'o'.repeat(32), next: 'n'.repeat(32), mac }
const DOMAIN = 'members.klaim.invalid'
const MEMBERS = 3
const jidOf = (member: number): string => `62812${String(member).padStart(8, '0')}@s.whatsapp.net`
const oldId = (member: number): string => memberIdOf(keys.old, jidOf(member))
const nextId = (member: number): string => memberIdOf(keys.next, jidOf(member))
const DEATHS_AT_EACH = 2
class Died extends Error {}
const noStep = async (): Promise<void> => {}

/** A server with a small ledger and whatever else stands under pseudonyms, all of it handled, and a panel with the accounts. */
async function world (t: Test) {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const busOf = async (service: ServiceName): Promise<Bus> => {
    const bus = await createBus({ ...nats.playing(service), log: createLog(service, 'fatal'), metrics: createMetrics(service), now: () => new Date() })
    t.teardown(() => bus.close())
    return bus
  }
  const [claimStore, bot, reaper, operator] = await Promise.all((['claim-store', 'bot', 'reaper', 'operator'] as const).map(busOf)) as [Bus, Bus, Bus, Bus]
  const double = await startPanel()
  t.teardown(() => double.close())
  const budget = createPanelBudget({ concurrency: { server: 1, other: 2 }, windowMs: 60_000, patienceMs: 1_000, now: Date.now })
  const panel = createPterodactyl(createPanelClient({ url: double.url, key: double.applicationKey, budget, readTimeoutMs: 5_000, writeTimeoutMs: 5_000, registry: new Registry(), stopCalls: new AbortController().signal }))
  t.teardown(() => panel.close())
  const provisioning = await operator.bucket(provisioningBucket)

  for (let member = 1; member <= MEMBERS; member++) {
    const claim_id = randomUUID()
    const username = `user${member}-${oldId(member).slice(0, 4)}`
    const { user } = await panel.ensureUser({ memberId: oldId(member), waJid: jidOf(member), email: `${oldId(member)}@${DOMAIN}` }, username, 'p'.repeat(32), new AbortController().signal)
    const about = { claim_id, member_id: oldId(member), wa_jid: jidOf(member), language: 'id' as const }
    const time = new Date(Date.UTC(2026, 0, member))
    await claimStore.publish(claimRequested, { sign: mac.sign, key: claim_id, time, correlation: claim_id, data: { ...about, username, template: 'nodejs', template_version: 1 } })
    await claimStore.publish(claimActivated, {
      sign: mac.sign,
      key: claim_id, time: new Date(time.getTime() + 60_000), correlation: claim_id, causation: `server.ready.v1:${claim_id}`,
      data: { ...about, template: 'nodejs', user_id: user.id, server_id: member, allocation_id: member, identifier: 'abcdef12', address: { host: '127.0.0.1', port: 1 }, username, sealed_password: 'a.b.c.d.e' },
    })
    const job = { delete_job_id: `${claim_id}-d1`, claim_id, member_id: oldId(member) }
    await bot.publish(memberLeft, { key: `${oldId(member)}:1`, data: { member_id: oldId(member), wa_jid: jidOf(member), group_id: '120363000000000001@g.us', occurred_at: time.toISOString(), observed_by: 'roster' } })
    await claimStore.publish(deletionScheduled, {
      sign: mac.sign,
      key: job.delete_job_id, correlation: claim_id, causation: `member.left.v1:${oldId(member)}:1`,
      data: { ...about, delete_job_id: job.delete_job_id, deletion_scheduled_at: '2030-01-01T00:00:00.000Z', left_at: time.toISOString(), reason: 'left', moved_sequence: member, moved_at: time.toISOString() },
    })
    await reaper.schedule(deletionDue, { key: job.delete_job_id, data: { ...job, due_at: '2030-01-01T00:00:00.000Z' }, at: new Date('2030-01-01'), on: pendingSubject(job.delete_job_id) })
    await provisioning.put(claim_id, JSON.stringify({ claim_id, member_id: oldId(member), state: 'ready', user: { id: user.id, username } }))
    await provisioning.put(`reset.${oldId(member)}`, String(Date.now()))
  }
  await onWord(reaper, { request: setBrake, by: 'on call', why: 'looking at it' }, async () => ({ ok: true as const }))
  await onWord(claimStore, { request: eraseMember, by: 'on call', why: 'asked by mail', about: { memberId: oldId(1) } }, async () => ({ ok: false as const, rejection: 'HAS_SERVER' }))
  const brake = await operator.bucket(brakeBucket)
  for (const rosterSize of [1, 2]) await brake.put('brake', JSON.stringify({ departures: [[oldId(1), 5]], rosterSize, tripped: { at: 1, reason: 'looking at it', releasesAt: 2 }, confirmations: [] }))
  const handle = async (): Promise<void> => {
    await Promise.all(CONSUMERS.map(async ({ name, stream }) => {
      const consumer = await operator.raw.js.consumers.get(stream, name)
      while ((await consumer.info()).num_pending > 0) for await (const message of await consumer.fetch({ max_messages: 100, expires: 1_000 })) await message.ackAck()
    }))
  }
  await handle()
  // As they are shown to everybody, they would be taken for running.
  await Promise.all([claimStore, bot, reaper].map(async (bus) => { await bus.close() }))
  return { bus: operator, busOf, panel, double, handle, options: { bus: operator, panel, keys, emailDomain: DOMAIN } }
}

/** Every message of every stream as text, but for the copy that is kept on purpose. */
async function everything ({ raw }: Bus): Promise<string[]> {
  const texts: string[] = []
  for await (const name of raw.jsm.streams.names()) {
    if (name === BACKUP) continue
    for await (const { subject, header, data } of messagesOf(raw, name)) texts.push(`${name} ${subject} ${[...header].join(' ')} ${new TextDecoder().decode(data)}`)
  }
  return texts
}

interface Seen { subject: string, id: string, time: string, causation: string, about: string, data: { member_id: string } }
async function ledger ({ raw }: Bus): Promise<Seen[]> {
  const seen: Seen[] = []
  for await (const { subject, header, data } of messagesOf(raw, 'CLAIMS')) {
    seen.push({ subject, id: header.get('ce-id'), time: header.get('ce-time'), causation: header.get('ce-causation'), about: header.get('ce-subject'), data: JSON.parse(new TextDecoder().decode(data)) as Seen['data'] })
  }
  return seen
}
const starts = async (bus: Bus, key: string): Promise<string> => await checkKey(bus, mac, key).then(() => 'starts', codeOf)

t.test('a re-keying that dies after every step comes to its end', async (t) => {
  const { bus, double, options } = await world(t)
  const before = await ledger(bus)
  t.equal(await starts(bus, keys.old), 'starts')
  t.equal(await starts(bus, keys.next), 'MEMBER_ID_KEY_OTHER', 'a wrong key opens no ledger')
  const found = await survey(options)
  t.same([found.old, found.next, found.members.size], [MEMBERS * 3, 0, MEMBERS])

  const deaths = new Map<string, number>()
  for (let isOver = false; !isOver;) {
    await rekey(options, async (what) => {
      const before = deaths.get(what) ?? 0
      if (before >= DEATHS_AT_EACH) return
      deaths.set(what, before + 1)
      if (what.includes('rewritten') && (await ledger(bus)).some(({ data }) => data.member_id === oldId(1))) {
        t.same([await starts(bus, keys.old), await starts(bus, keys.next)], ['MEMBER_ID_KEY_OTHER', 'MEMBER_ID_KEY_OTHER'], `half-way, claim-store starts under neither key (${what})`)
      }
      throw new Died(what)
    }).then(() => { isOver = true }, (error: unknown) => { if (!(error instanceof Died)) throw error })
  }
  t.ok(deaths.size >= 12 && deaths.has('an account has its new address') && deaths.has('events of CLAIMS are passed over'), [...deaths].map(([what, times]) => `${times} × ${what}`).join(', '))

  const after = await ledger(bus)
  const renamed = (text: string): string => [1, 2, 3].reduce((all, member) => all.replaceAll(oldId(member), nextId(member)), text)
  t.same(after, before.map((event) => ({ ...event, subject: renamed(event.subject), causation: renamed(event.causation), about: renamed(event.about), data: { ...event.data, member_id: renamed(event.data.member_id) } })),
    'the same events, ids, times and order, under the new names')
  const ids = [1, 2, 3].map(oldId)
  t.same((await everything(bus)).filter((text) => ids.some((id) => text.includes(id))), [], 'no stream and no bucket holds an old pseudonym')
  const words = (await everything(bus)).filter((text) => text.startsWith('OPERATIONS '))
  t.same(words.map((text) => text.split(' ')[1]), ['operations.reaper.none', 'operations.reaper.none', `operations.claim-store.${nextId(1)}`, `operations.claim-store.${nextId(1)}`], 'who had what done is kept, and can be found')
  t.same(double.state().users.filter(({ externalId }) => externalId !== null).map(({ email }) => email), [1, 2, 3].map((member) => `${nextId(member)}@${DOMAIN}`), 'nor has the panel an old address')
  t.equal(double.state().users.find(({ externalId }) => externalId === jidOf(1))?.username, `user1-${oldId(1).slice(0, 4)}`, 'login names stay')
  for (const { name, stream } of CONSUMERS) {
    const { num_pending, num_ack_pending } = await bus.raw.jsm.consumers.info(stream, name)
    t.same([num_pending, num_ack_pending], [0, 0], `nobody acts on it again: ${name}`)
  }
  t.equal((await bus.raw.jsm.streams.info('MEMBERS')).state.last_seq, MEMBERS, 'a leave that comes later stands later in its stream')
  t.match(JSON.parse((await (await bus.bucket(brakeBucket)).get('brake'))?.text() ?? ''), { departures: [[nextId(1), 5]], rosterSize: 2, tripped: { reason: 'looking at it' } }, 'a brake that was on stays on')
  t.same([await starts(bus, keys.old), await starts(bus, keys.next)], ['MEMBER_ID_KEY_OTHER', 'starts'])
  t.match(await rekey(options, noStep), { members: 0, changed: 0 }, 'once more, nothing is done')
  await t.rejects(confirm({ bus, keys: { ...keys, next: keys.old } }), /under another key/)
  await confirm({ bus, keys })
  await t.rejects(bus.raw.jsm.streams.info(BACKUP), /not found/, 'confirmed, the copy of the old ledger is gone')
})

t.test('it is refused', async (t) => {
  const { bus, busOf, options, handle } = await world(t)
  await t.rejects(survey({ bus, keys: { old: 'x'.repeat(32), next: keys.next, mac } }), /under another key/, 'with a wrong old key')
  await t.rejects(survey({ bus, keys: { old: keys.old, next: keys.old, mac } }), /the new key is the old one/)
  const claimStore = await busOf('claim-store')
  await t.rejects(rekey(options, noStep), /still running: claim-store/, 'while a service runs')
  await claimStore.close()
  await bus.raw.js.publish('members.x.left', '{}')
  await t.rejects(rekey(options, noStep), /messages unhandled/, 'while something is unhandled')
  await handle()
  await bus.raw.js.publish('dead.letter', '{}')
  await t.rejects(rekey(options, noStep), /DEAD_LETTERS holds 1 messages/, 'while there are dead letters')
  t.equal((await ledger(bus)).length, MEMBERS * 3, 'and nothing is changed')
})
