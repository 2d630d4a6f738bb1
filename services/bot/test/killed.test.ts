import t from 'tap'
import { sayCaused } from '../../common/test/because.ts'
import { messageDelivered, messageOutbound } from '../../../contracts/events/messages.ts'
import { jidOf, member, memberOf, seal, world } from './harness.ts'
import { claimId, claimOf, parties } from './parties.ts'
import { spawnBot } from './spawned.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('a bot that is killed', async (t) => {
  const here = await world(t)
  const { whatsapp, env, told, bus } = here
  const first = spawnBot(t, env)
  await first.saw('connected to WhatsApp')
  const second = spawnBot(t, env)
  await second.saw('another bot holds the session')
  const killedAt = performance.now()
  first.child.kill('SIGKILL')
  await second.saw('connected to WhatsApp')
  const tookMs = performance.now() - killedAt
  t.ok(tookMs < 5 * Number(env['LEASE_MS']), `is replaced ${Math.round(tookMs)} ms later, with a lease of ${env['LEASE_MS']} ms`)
  const notifier = await bus('notifier')
  await sayCaused(notifier, messageOutbound, { key: 'x', data: { message_id: 'x', claim_id: claimId, member_id: memberOf(member(1)), kind: 'deleted', wa_jid: jidOf(member(1)), language: 'id', parts: ['Server dihapus'] } })
  await told(messageDelivered, 1)
  t.same(whatsapp.chat(member(1)).map(({ text }) => text), ['Server dihapus'], 'by one who can speak')
})

t.test('a bot that is killed after a message has gone out, before it knows', async (t) => {
  const here = await world(t)
  const { whatsapp, env, told, bus } = here
  await parties(here, [claimOf(member(1))])
  const first = spawnBot(t, env)
  await first.saw('connected to WhatsApp')
  whatsapp.turnKnobs({ ackDelayMs: 10_000 })
  const notifier = await bus('notifier')
  await sayCaused(notifier, messageOutbound, { key: 'login', data: { message_id: 'login', claim_id: claimId, member_id: memberOf(member(1)), kind: 'login', wa_jid: jidOf(member(1)), language: 'id', parts: ['Server siap', '{password}'], sealed_password: await seal('the password') } })
  await whatsapp.until('the first part has arrived', () => whatsapp.chat(member(1)).length === 1)
  first.child.kill('SIGKILL')
  await first.exit
  whatsapp.turnKnobs({ ackDelayMs: 0 })
  const second = spawnBot(t, env)
  await second.saw('connected to WhatsApp')
  t.equal((await told(messageDelivered, 1)).length, 1)
  t.same(whatsapp.chat(member(1)).map(({ text }) => text), ['Server siap', 'the password'], 'is followed by one who says the rest, and nothing twice')
  await whatsapp.say(member(1), 'STATUS')
  await whatsapp.until('an answer', () => whatsapp.chat(member(1)).length === 4)
  t.match(whatsapp.chat(member(1)).at(-1)?.text, 'aktif', 'and who understands the member as before')
})
