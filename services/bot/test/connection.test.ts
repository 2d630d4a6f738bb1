import t from 'tap'
import { member, world } from './harness.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('a connection that ends for a reason that passes is made anew', async (t) => {
  const { whatsapp, bot, logged } = await world(t)
  const running = await bot()
  let opened = 1
  await logged('connected to WhatsApp', opened)
  for (const code of [428, 503, 515, 500] as const) {
    whatsapp.closeConnections(code)
    await logged('connected to WhatsApp', ++opened)
    t.equal((await running.check(member(1), true)).membership, 'present', `after ${code}`)
  }
  t.equal(await running.metric('klaim_whatsapp_closes_total'), 4)
})

t.test('a connection that ends for a reason that does not pass', async (t) => {
  const { whatsapp, bot, logged } = await world(t)
  let times = 0
  for (const code of [402, 403, 405, 406, 409, 411, 418, 440] as const) {
    times++
    const running = await bot()
    await logged('connected to WhatsApp', times)
    whatsapp.closeConnections(code)
    await logged('WhatsApp has ended the connection for a reason', times)
    t.match(await running.ready(), { whatsapp: 'stopped' }, `${code}: is not made anew`)
    t.equal((await running.check(member(1), true)).membership, 'unknown', 'and nobody is told to be in the group or not')
    await running.stop()
  }
})

t.test('a connection that is deaf is found and made anew', async (t) => {
  const { whatsapp, bot, logged } = await world(t)
  const running = await bot({ ROSTER_EVERY_MS: '200', ANSWER_TIMEOUT_MS: '200', DEAF_AFTER_MISSES: '2' })
  await logged('connected to WhatsApp')
  whatsapp.turnKnobs({ deaf: 'queries' })
  await logged('the connection is deaf')
  whatsapp.turnKnobs({ deaf: 'no' })
  await logged('connected to WhatsApp', 2)
  t.equal((await running.check(member(1), true)).membership, 'present')
})

t.test('a connection that is not let in is made anew, though the server is there', async (t) => {
  const { whatsapp, bot, logged } = await world(t)
  const running = await bot({ ROSTER_EVERY_MS: '200', OPEN_TIMEOUT_MS: '2000', ANSWER_TIMEOUT_MS: '300', DEAF_AFTER_MISSES: '2' })
  await logged('connected to WhatsApp')
  // Shakes hands with whoever comes, and says nothing else.
  whatsapp.turnKnobs({ deaf: 'everything' })
  await logged('the connection to WhatsApp has ended and is made anew', 2)
  whatsapp.turnKnobs({ deaf: 'no' })
  await logged('connected to WhatsApp', 2)
  t.equal((await running.check(member(1), true)).membership, 'present')
})
