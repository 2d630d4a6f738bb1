import t from 'tap'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { rosterSummary } from '../../../contracts/requests.ts'
import { jidOf, member, memberOf, outsider, world } from './harness.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('a bot that has connected', async (t) => {
  const { whatsapp, bot, bus, told, logged, events } = await world(t, { members: 12 })
  const first = await bot()
  await logged('connected to WhatsApp')
  const asked = await bus('operator')
  t.match(await first.check(member(1), true), { membership: 'present', wa_jid: jidOf(member(1)), member_id: memberOf(member(1)) }, 'knows who is in the group')
  t.match(await first.check(outsider(1)), { membership: 'absent' }, 'and who is not')
  t.match(await asked.request(rosterSummary, {}), { state: 'known', size: 13, connection: 'open' })
  t.same(await first.ready(), { nats: 'ok', whatsapp: 'ok', roster: 'ok' })
  t.same(await events(memberJoined), [], 'announces nobody who was there all along')

  whatsapp.join(outsider(1))
  const [joined] = await told(memberJoined, 1)
  t.match(joined?.data, { member_id: memberOf(outsider(1)), wa_jid: jidOf(outsider(1)), group_id: whatsapp.group, observed_by: 'roster' }, 'tells who came')
  whatsapp.leave(member(2))
  whatsapp.remove(member(3))
  const left = await told(memberLeft, 2)
  t.same(left.map(({ data }) => data.wa_jid).toSorted((one, other) => one.localeCompare(other)), [member(2), member(3)].map(jidOf), 'and who left or was removed')

  whatsapp.pretendDepartures([member(4), member(5)])
  await first.check(member(4), true)
  t.equal((await events(memberLeft)).length, 2, 'but nobody of whom it was only said')
  t.match(await first.check(member(4)), { membership: 'present' })
})
