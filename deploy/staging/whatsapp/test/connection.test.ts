import t, { type Test } from 'tap'
import { initAuthCreds } from '@whiskeysockets/baileys'
import { closeCodes } from '../closing.ts'
import { stanza } from '../stanza.ts'
import { authOf, connect, double, open } from './client.ts'

// Baileys leaves timers of up to 30 s behind after a closed connection.
t.teardown(() => { setImmediate(() => process.exit()) })

void t.test('a device that was linked before', async (t) => {
  await t.test('connects and is told its LID', async (t) => {
    const whatsapp = await double(t)
    const { sock } = await open(t, whatsapp)
    t.match(sock.user, { id: `${whatsapp.botNumber}:7@s.whatsapp.net`, lid: `${whatsapp.person(whatsapp.botNumber).lid}:7@lid` })
    t.match(whatsapp.connected(), [{ device: 7 }])
  })
  await t.test('uploads one-time keys when the server has none', async (t) => {
    const whatsapp = await double(t)
    await open(t, whatsapp, authOf(whatsapp.createLinkedSession({ preKeys: 'none' })))
    t.equal(whatsapp.counters['iq encrypt set registration'], 1)
    const { sock } = await open(t, whatsapp, authOf(whatsapp.createLinkedSession({ preKeys: 'none' })))
    await whatsapp.say('6281200000001', 'hello')
    t.ok(sock)
  })
  await t.test('is refused with another noise key', async (t) => {
    const whatsapp = await double(t)
    const auth = authOf(whatsapp.createLinkedSession())
    Object.assign(auth.creds, { noiseKey: initAuthCreds().noiseKey })
    t.equal(await connect(t, whatsapp, auth).closed(), 401)
  })
  await t.test('is refused while logins fail, and let in afterwards', async (t) => {
    const whatsapp = await double(t)
    const auth = authOf(whatsapp.createLinkedSession())
    whatsapp.knobs.loginError = { code: 403, remaining: 1 }
    t.equal(await connect(t, whatsapp, auth).closed(), 403)
    await open(t, whatsapp, auth)
  })
  await t.test('is replaced by a second login of the same device', async (t) => {
    const whatsapp = await double(t)
    const auth = authOf(whatsapp.createLinkedSession())
    const first = await open(t, whatsapp, auth)
    await open(t, whatsapp, auth)
    t.equal(await first.closed(), 440)
    t.equal(whatsapp.connected().length, 1)
  })
  await t.test('that logs out is unlinked', async (t) => {
    const whatsapp = await double(t)
    const auth = authOf(whatsapp.createLinkedSession())
    const { sock } = await open(t, whatsapp, auth)
    await sock.logout()
    await whatsapp.until('unlinked', () => whatsapp.linked().length === 0)
    t.equal(await connect(t, whatsapp, auth).closed(), 401)
  })
})

void t.test('an account that is banned is let in no more, and another takes its place', async (t) => {
  const whatsapp = await double(t)
  const banned = whatsapp.botNumber
  const auth = authOf(whatsapp.createLinkedSession())
  const client = await open(t, whatsapp, auth)
  whatsapp.ban()
  t.equal(await client.closed(), 406)
  t.equal(await connect(t, whatsapp, auth).closed(), 406)

  whatsapp.takeAccount('6281399990002')
  t.equal(whatsapp.botNumber, '6281399990002')
  t.equal(whatsapp.isMember(banned), true, 'the old one stays where it was')
  t.equal(await connect(t, whatsapp, auth).closed(), 406, 'and stays banned')
  const { sock } = await open(t, whatsapp, authOf(whatsapp.createLinkedSession()))
  await t.rejects(sock.groupMetadata(whatsapp.group), 'the new one is in no group yet')
  whatsapp.join('6281399990002', 'admin')
  t.equal((await sock.groupMetadata(whatsapp.group)).participants.length, 8)
})

/** Silence is noticed after five seconds, so those who wait for it wait together. */
void t.test('every code with which WhatsApp ends a connection reaches the client', async (t) => {
  const deaf = deafToEverything(t)
  await Promise.all(closeCodes.map(async (code) => {
    const whatsapp = await double(t)
    const auth = authOf(whatsapp.createLinkedSession())
    const client = await open(t, whatsapp, auth, { keepAliveIntervalMs: 100 })
    whatsapp.closeConnections(code)
    t.equal(await client.closed(), code, String(code))
    const again = connect(t, whatsapp, auth)
    if (code === 401) t.equal(await again.closed(), 401, 'and stays unlinked after 401')
    else await again.next('connection.update', ({ connection }) => connection === 'open')
  }))
  t.equal(await deaf, 408, 'a double that is deaf to everything is noticed by the keep-alive')
})

async function deafToEverything (t: Test): Promise<number | undefined> {
  const whatsapp = await double(t)
  const client = await open(t, whatsapp, undefined, { keepAliveIntervalMs: 100 })
  whatsapp.knobs.deaf = 'everything'
  return client.closed()
}

void t.test('a double that is deaf to queries keeps the connection and answers nothing but pings', async (t) => {
  const whatsapp = await double(t)
  const { sock } = await open(t, whatsapp, undefined, { defaultQueryTimeoutMs: 300 })
  whatsapp.knobs.deaf = 'queries'
  await t.rejects(sock.groupMetadata(whatsapp.group))
  await sock.query({ tag: 'iq', attrs: { to: 's.whatsapp.net', type: 'get', xmlns: 'w:p' }, content: [stanza('ping')] })
  t.equal(whatsapp.connected().length, 1)
})
