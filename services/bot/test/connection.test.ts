import t from 'tap'
import { INTERNAL_SECRET_HEADER } from '../../../contracts/http.ts'
import { PAIRING_PATH } from '../internal-http.ts'
import { internalSecret, member, world, type TestBot } from './harness.ts'
import type { PairingView } from '../pairing.ts'

const pairingOf = async (bot: TestBot): Promise<PairingView> =>
  await (await fetch(new URL(PAIRING_PATH, bot.url), { headers: { [INTERNAL_SECRET_HEADER]: internalSecret } })).json() as PairingView

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
  for (const code of [402, 403, 405, 406, 409, 411, 418, 440] as const) {
    const { whatsapp, bot, logged } = await world(t)
    const running = await bot()
    await logged('connected to WhatsApp')
    whatsapp.closeConnections(code)
    await logged('WhatsApp has ended the connection for a reason')
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

t.test('linking by QR code', async (t) => {
  const { whatsapp, bot, logged, until } = await world(t, { linked: false })
  const running = await bot({ LOG_LEVEL: 'warn' })
  const shown = await until('a QR code', async () => (await pairingOf(running)).qr)
  t.match(shown, /^https:\/\/wa\.me\//)
  const png = await fetch(new URL(`${PAIRING_PATH}.png`, running.url), { headers: { [INTERNAL_SECRET_HEADER]: internalSecret } })
  t.equal(png.headers.get('content-type'), 'image/png')
  t.equal(Buffer.from(await png.arrayBuffer()).subarray(1, 4).toString(), 'PNG')
  t.equal((await fetch(new URL(PAIRING_PATH, running.url))).status, 401, 'is for whoever has the secret')
  t.match(await running.ready(), { whatsapp: 'linking' })
  const startedAt = performance.now()
  whatsapp.scan(shown)
  await logged('connected to WhatsApp')
  t.ok(performance.now() - startedAt < 10_000, `connected ${Math.round(performance.now() - startedAt)} ms after the scan, with every pre-key stored`)
  t.equal((await running.check(member(1), true)).membership, 'present')
  t.match(await pairingOf(running), { state: 'linked' })
  await running.stop()
  const next = await bot()
  await logged('connected to WhatsApp', 2)
  t.equal((await next.check(member(1), true)).membership, 'present', 'the next process uses the same session')

  whatsapp.closeConnections(401)
  await logged('the bot has to be linked again')
  whatsapp.scan(await until('a new QR code', async () => (await pairingOf(next)).qr))
  await logged('connected to WhatsApp', 3)
  t.equal((await next.check(member(1), true)).membership, 'present', 'unlinked, it can be linked again')
})

t.test('linking where WhatsApp wants the code scanned twice', async (t) => {
  const { whatsapp, bot, logged, until } = await world(t, { linked: false })
  whatsapp.turnKnobs({ registrationRefresh: true })
  const running = await bot()
  const first = await until('a QR code', async () => (await pairingOf(running)).qr)
  whatsapp.scan(first)
  const second = await until('another QR code', async () => {
    const { qr } = await pairingOf(running)
    return qr === first ? undefined : qr
  })
  t.match((await pairingOf(running)).notice, 'second scan')
  whatsapp.scan(second)
  await logged('connected to WhatsApp')
  t.equal((await running.check(member(1), true)).membership, 'present')
})

t.test('linking by code, and where a passkey is demanded', async (t) => {
  const { whatsapp, bot, logged, until } = await world(t, { linked: false })
  const running = await bot({ PAIRING_NUMBER: whatsapp.botNumber })
  const code = await until('a code', async () => (await pairingOf(running)).code)
  t.match(code, /^[0-9A-Z]{8}$/)
  await whatsapp.typeCode(code)
  await logged('connected to WhatsApp')
  t.equal((await running.check(member(1), true)).membership, 'present')

  const other = await world(t, { linked: false })
  other.whatsapp.turnKnobs({ passkey: true })
  const refused = await other.bot()
  other.whatsapp.scan(await other.until('a QR code', async () => (await pairingOf(refused)).qr))
  await other.logged('WhatsApp demands a passkey')
  t.match(await pairingOf(refused), { state: 'passkey', notice: /passkey/ })
})

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
