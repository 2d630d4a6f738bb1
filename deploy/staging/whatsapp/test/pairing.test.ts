import { randomBytes } from 'node:crypto'
import t from 'tap'
import { authOf, connect, double, open } from './client.ts'

t.teardown(() => { setImmediate(() => process.exit()) })

const shown = ({ qr }: { qr?: string }) => qr !== undefined

void t.test('a new device', async (t) => {
  await t.test('is linked by the QR code it shows', async (t) => {
    const whatsapp = await double(t)
    const auth = authOf()
    const client = connect(t, whatsapp, auth)
    const { qr = '' } = await client.next('connection.update', shown)
    t.match(whatsapp.scan(qr), { linked: true })
    t.equal(await client.closed(), 515)
    t.equal(auth.creds.me?.id, `${whatsapp.botNumber}:7@s.whatsapp.net`)
    const { sock } = await open(t, whatsapp, auth)
    t.equal((await sock.groupMetadata(whatsapp.group)).participants.length, 7)
  })
  await t.test('is not linked by another code', async (t) => {
    const whatsapp = await double(t)
    const { next } = connect(t, whatsapp, authOf())
    await next('connection.update', shown)
    t.same(whatsapp.scan('https://wa.me/settings/linked_devices#2@nonsense,a,b,c,1'), { linked: false, reason: 'unknown-qr' })
  })
  await t.test('is linked by eight characters typed on the phone', async (t) => {
    const whatsapp = await double(t)
    const auth = authOf()
    const client = connect(t, whatsapp, auth)
    await client.next('connection.update', shown)
    const code = await client.sock.requestPairingCode(whatsapp.botNumber)
    await whatsapp.until('the code is known', () => whatsapp.counters['iq md set link_code_companion_reg'] === 1)
    t.match(await whatsapp.typeCode(code), { linked: true })
    t.equal(await client.closed(), 515)
    await open(t, whatsapp, auth)
  })
  await t.test('is not linked by a wrong code', async (t) => {
    const whatsapp = await double(t)
    const client = connect(t, whatsapp, authOf())
    await client.next('connection.update', shown)
    await client.sock.requestPairingCode(whatsapp.botNumber)
    await whatsapp.until('the code is known', () => whatsapp.counters['iq md set link_code_companion_reg'] === 1)
    t.same(await whatsapp.typeCode('AAAABBBB'), { linked: false, reason: 'wrong-code' })
  })
  await t.test('may have to refresh its registration first', async (t) => {
    const whatsapp = await double(t)
    whatsapp.knobs.registrationRefresh = true
    const auth = authOf()
    const client = connect(t, whatsapp, auth)
    const refresh = new Promise((resolve) => { client.sock.ws.on('CB:notification,type:companion_reg_refresh', resolve) })
    const { qr = '' } = await client.next('connection.update', shown)
    t.match(whatsapp.scan(qr), { linked: false, reason: 'registration-refresh' })
    await refresh
    t.match(whatsapp.scan(qr), { linked: false, reason: 'registration-refresh' }, 'the same code again does not help')
    const advSecretKey = randomBytes(32).toString('base64')
    client.sock.ev.emit('creds.update', { advSecretKey })
    const fields = qr.split(',')
    fields[3] = advSecretKey
    t.match(whatsapp.scan(fields.join(',')), { linked: true })
    t.equal(await client.closed(), 515)
    await open(t, whatsapp, auth)
  })
  await t.test('may be asked for a passkey', async (t) => {
    const whatsapp = await double(t)
    whatsapp.knobs.passkey = true
    const { next, sock } = connect(t, whatsapp, authOf())
    const asked = new Promise((resolve) => { sock.ws.on('CB:notification,type:passkey_prologue_request', resolve) })
    const { qr = '' } = await next('connection.update', shown)
    t.match(whatsapp.scan(qr), { linked: false, reason: 'passkey' })
    await asked
  })
})
