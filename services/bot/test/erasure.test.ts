import t from 'tap'
import { join } from 'node:path'
import { claimErased } from '../../../contracts/events/claims.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { messageDelivered, messageOutbound } from '../../../contracts/events/messages.ts'
import { rosterBucket, sentBucket } from '../../../contracts/streams.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import { keyOf } from '../../common/bucket.ts'
import { sayCaused } from '../../common/test/because.ts'
import { unpacked } from '../roster-record.ts'
import { jidOf, member, memberOf, world } from './harness.ts'
import { claimId, claimOf, parties } from './parties.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

const other = '22222222-2222-4222-8222-222222222222'

t.test('somebody who left', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, bus, logged, told, until } = here
  await parties(here, [claimOf(member(1), { status: 'deleted' })])
  const running = await bot({ STRANGERS_EVERY_MS: '100' })
  await logged('connected to WhatsApp')
  const bucket = await (await bus('operator')).bucket(rosterBucket)
  const known = async () => unpacked((await bucket.get(keyOf(whatsapp.group)))?.value ?? new Uint8Array()).roster.aliases
  await until('the group is read', async () => await bucket.get(keyOf(whatsapp.group)) ?? undefined)
  whatsapp.leave(member(1))
  whatsapp.leave(member(2))
  await told(memberLeft, 2)
  await until('the one without a claim is forgotten', async () => !(await known()).has(member(2)) || undefined)
  const aliases = await known()
  t.same([1, 2, 3].map((n) => aliases.has(member(n))), [true, false, true], 'without a claim is forgotten; a claim, and being in the group, keep the number')
  await running.stop()
})

t.test('a former member who is erased', async (t) => {
  const here = await world(t)
  const { nats, whatsapp, bot, bus, logged, told, until } = here
  // The ledger knows nobody.
  await parties(here, [])
  const running = await bot()
  await logged('connected to WhatsApp')
  const [claimStore, notifier] = [await bus('claim-store'), await bus('notifier')]
  const roster = async () => unpacked((await (await bus('operator')).bucket(rosterBucket).then(async (bucket) => await bucket.get(keyOf(whatsapp.group))))?.value ?? new Uint8Array()).roster
  const inStore = (stream: string, text: string) => filesHolding(join(nats.storeDir, 'jetstream', 'KLAIM', 'streams', stream), text)
  const say = async (n: number, claim_id: string) => await sayCaused(notifier, messageOutbound, {
    key: `deleted-${claim_id}-d1`, data: { message_id: `deleted-${claim_id}-d1`, claim_id, member_id: memberOf(member(n)), wa_jid: jidOf(member(n)), language: 'id', kind: 'deleted', parts: ['gone'] },
  })
  await say(1, claimId)
  await say(2, other)
  await told(messageDelivered, 2)
  whatsapp.leave(member(1))
  whatsapp.leave(member(2))
  await told(memberLeft, 2)
  t.ok((await roster()).aliases.has(member(1)), 'was remembered by number and LID')
  t.ok(inStore('MEMBERS', member(1)).length > 0)

  await claimStore.publish(claimErased, { key: claimId, data: { member_id: memberOf(member(1)), claims: [{ claim_id: claimId, departures: 1 }], reason: 'asked' } })
  await logged('what the bot knew of a former member is erased')
  t.same([member(1), memberOf(member(1))].flatMap((text) => inStore('MEMBERS', text)), [], 'is in no byte of who came and went')
  t.same(inStore(`KV_${sentBucket.name}`, claimId), [], 'nor in what was sent')
  t.same(inStore('MESSAGES', `messages.delivered.deleted-${claimId}`), [], 'nor in what was delivered')
  const { people, aliases } = await roster()
  t.same([aliases.has(member(1)), people.some(({ phone }) => phone === member(1))], [false, false], 'nor in the roster')
  t.ok(aliases.has(member(2)) && inStore('MEMBERS', member(2)).length > 0 && inStore(`KV_${sentBucket.name}`, other).length > 0, 'others stay')

  await claimStore.publish(claimErased, { key: other, data: { member_id: memberOf(member(3)), claims: [{ claim_id: other, departures: 0 }], reason: 'asked' } })
  await logged('what the bot knew of a former member is erased', 2)
  t.ok((await roster()).people.some(({ phone }) => phone === member(3)), 'somebody in the group is still seen in it')
  whatsapp.join(member(1))
  await until('the return is heard', async () => (await told(memberJoined, 1)).some(({ data }) => data.member_id === memberOf(member(1))) || undefined)
  t.pass('and whoever comes back is met anew')
  await running.stop()
})
