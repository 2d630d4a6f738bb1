import t from 'tap'
import { INTERNAL_SECRET_HEADER } from '../../../contracts/http.ts'
import { GROUPS_PATH, PAIRING_PATH } from '../internal-http.ts'
import type { PairingView } from '../pairing.ts'
import { internalSecret, member, world, type TestBot } from './harness.ts'

// A socket that has uploaded pre-keys leaves a timer of 30 s behind when it ends (Baileys 7.0.0-rc14, lib/Socket/socket.js); in production the
// process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

const pairingOf = async (bot: TestBot): Promise<PairingView> =>
  await (await fetch(new URL(PAIRING_PATH, bot.url), { headers: { [INTERNAL_SECRET_HEADER]: internalSecret } })).json() as PairingView

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

t.test('which groups there are, for who looks for the id of theirs', async (t) => {
  const { whatsapp, bot, logged, until } = await world(t)
  const groupsOf = async (secret: string) => await fetch(new URL(GROUPS_PATH, running.url), { headers: { [INTERNAL_SECRET_HEADER]: secret } })
  const running = await bot({ GROUP_ID: '120363000000000009@g.us' })
  await logged('the bot is not in the group')
  const found = await groupsOf(internalSecret)
  t.equal(found.headers.get('cache-control'), 'no-store')
  t.match(await found.json(), [{ id: whatsapp.group, subject: 'Klaim', size: whatsapp.people().filter(({ number }) => whatsapp.isMember(number)).length }])
  t.equal((await groupsOf('somebody-else')).status, 401)
  whatsapp.closeConnections(406)
  await until('the bot stops', async () => (await running.ready())['whatsapp'] === 'stopped' || undefined)
  t.equal((await groupsOf(internalSecret)).status, 503, 'nobody knows while the bot is not connected')
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
