import t from 'tap'
import { startWhatsApp, type WhatsApp } from '../whatsapp.ts'
import { authOf, connect, double, open } from './client.ts'

t.teardown(() => { setImmediate(() => process.exit()) })

const one = '6281200000001'

async function call (whatsapp: WhatsApp, method: string, path: string, body?: object) {
  const response = await fetch(whatsapp.controlUrl + path, {
    method, ...body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  })
  const answer: unknown = await response.json()
  return { status: response.status, body: answer }
}

void t.test('the control API', async (t) => {
  const whatsapp = await double(t)

  await t.test('tells the state', async (t) => {
    const { body } = await call(whatsapp, 'GET', '/state')
    t.match(body, { standsInFor: 'WhatsApp', group: whatsapp.group, connected: [], knobs: { deaf: 'no' } })
    t.match((await call(whatsapp, 'GET', '/people')).body, [{ name: 'Bot' }, { name: 'Group owner', role: 'superadmin' }, { number: one, inGroup: true }])
  })
  await t.test('adds people and moves them in and out of the group', async (t) => {
    t.match((await call(whatsapp, 'POST', '/people', { number: '+15550000001', name: 'New' })).body, { number: '15550000001', inGroup: false })
    t.match(await call(whatsapp, 'POST', '/people', { number: '15550000001' }), { status: 400, body: { error: 'number is taken' } })
    for (const [verb, isIn] of [['join', true], ['leave', false], ['join', true], ['remove', false]] as const) {
      t.same((await call(whatsapp, 'POST', `/people/15550000001/${verb}`, {})).body, { changed: true })
      t.equal(whatsapp.isMember('15550000001'), isIn, verb)
    }
    t.same((await call(whatsapp, 'POST', '/people/15550000001/leave', {})).body, { changed: false })
  })
  await t.test('links a device, scans its code, closes its connection', async (t) => {
    const { body } = await call(whatsapp, 'POST', '/sessions', {})
    const client = await open(t, whatsapp, authOf(String(Object(body).creds)))
    t.match((await call(whatsapp, 'GET', '/connection')).body, { connected: [{ device: 7 }] })
    t.same((await call(whatsapp, 'POST', '/people/6281200000001/message', { text: 'hi' })).status, 200)
    await client.next('messages.upsert', ({ messages }) => messages[0]?.message?.conversation === 'hi')
    await call(whatsapp, 'POST', '/close', { code: 503 })
    t.equal(await client.closed(), 503)
    t.equal((await call(whatsapp, 'POST', '/close', { code: 200 })).status, 400)
    const fresh = connect(t, whatsapp, authOf())
    const { qr } = await fresh.next('connection.update', (update) => update.qr !== undefined)
    t.match((await call(whatsapp, 'POST', '/pair', { qr })).body, { linked: true })
    t.equal(await fresh.closed(), 515)
  })
  await t.test('turns knobs, and refuses unknown ones', async (t) => {
    t.match((await call(whatsapp, 'PATCH', '/knobs', { refuseSends: { code: 463, remaining: 2 } })).body, { refuseSends: { code: 463, remaining: 2 } })
    t.equal((await call(whatsapp, 'PATCH', '/knobs', { refuseSend: true })).status, 400)
    t.equal((await call(whatsapp, 'PATCH', '/knobs', { deaf: 'perhaps' })).status, 400)
    t.match((await call(whatsapp, 'DELETE', '/knobs')).body, { refuseSends: null })
  })
  await t.test('refuses what it does not know', async (t) => {
    t.equal((await call(whatsapp, 'GET', '/nothing')).status, 404)
    t.equal((await call(whatsapp, 'GET', '/people/1')).status, 404)
    t.equal((await call(whatsapp, 'POST', '/people', { number: 'x' })).status, 400)
    t.equal((await call(whatsapp, 'POST', `/people/${one}/message`, { text: 'x'.repeat(70_000) })).status, 413)
    t.equal((await fetch(`${whatsapp.controlUrl}/people`, { method: 'POST', body: '{}' })).status, 415)
    t.equal((await fetch(`${whatsapp.controlUrl}/people`, { method: 'POST', headers: { origin: 'https://example.com' } })).status, 403, 'another page')
  })
  await t.test('serves the page', async (t) => {
    const response = await fetch(whatsapp.controlUrl)
    t.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
    t.match(await response.text(), 'not WhatsApp')
  })
})

void t.test('a double ends with its connections, and leaves the port', async (t) => {
  const whatsapp = await startWhatsApp()
  const client = await open(t, whatsapp)
  await whatsapp.close()
  t.equal(await client.closed(), 428)
  const again = await startWhatsApp({ port: Number(new URL(whatsapp.url).port) })
  await again.close()
})

void t.test('a thousand members are in the roster', async (t) => {
  const whatsapp = await double(t, { members: 1000 })
  const { sock } = await open(t, whatsapp)
  const before = performance.now()
  t.equal((await sock.groupMetadata(whatsapp.group)).participants.length, 1002)
  t.comment(`1002 members in ${Math.round(performance.now() - before)} ms`)
})
