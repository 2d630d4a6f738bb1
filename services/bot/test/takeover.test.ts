import t from 'tap'
import { member, world } from './harness.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('a second bot', async (t) => {
  const { whatsapp, bot, logged, nats } = await world(t)
  const first = await bot()
  await logged('connected to WhatsApp')
  const second = await bot()
  await logged('another bot holds the session')
  t.match(await second.ready(), { whatsapp: 'standby' }, 'stands by')
  t.equal((await second.check(member(1), true)).membership, 'unknown')
  await first.stop()
  await logged('connected to WhatsApp', 2)
  t.equal((await second.check(member(1), true)).membership, 'present', 'takes over when the first stops')
  t.equal(whatsapp.connected().length, 1)

  await nats.kill()
  await logged('the lease is lost')
  await whatsapp.until('the connection is closed', () => whatsapp.connected().length === 0)
  t.pass('without NATS nobody can be told who holds the session, so it is let go')
  await nats.restart()
  await logged('connected to WhatsApp', 3)
  t.equal((await second.check(member(1), true)).membership, 'present', 'and taken up again when NATS is back')
})
