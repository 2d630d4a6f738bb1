import t from 'tap'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { loadConfig } from '../../common/config.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import { Config } from '../config.ts'
import { signatureOf } from '../webhook-signature.ts'
import { start } from '../main.ts'

const root = join(import.meta.dirname, '../../..')
const nats = await startKlaimNats()
t.teardown(() => nats.close())

const environment = {
  ...nats.env('gateway'), BOT_URL: 'http://127.0.0.1:9', INTERNAL_SECRET: 'an-internal-secret-of-tests',
  TEMPLATES_FILE: join(root, 'config/templates.json'), MESSAGES_DIR: join(root, 'config/messages'),
}

/** What comes back for bytes that no HTTP client would send. */
async function sendRaw (port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  let answer = ''
  socket.on('data', (chunk: string) => { answer += chunk })
  socket.write(text)
  await once(socket, 'close')
  return answer
}

t.test('the configuration', async (t) => {
  t.match(loadConfig(Config, environment), { HTTP_PORT: 8080, HTTP_HOST: '127.0.0.1', RATE_LIMIT_IP_PER_MINUTE: 20, RATE_LIMIT_JID_PER_MINUTE: 5 })
  t.equal(loadConfig(Config, environment).TRUST_PROXY, undefined, 'trusts no proxy by itself')
  t.throws(() => loadConfig(Config, { NATS_URL: 'x', INTERNAL_SECRET: 'short', TRUST_PROXY: 'everyone' }), /BOT_URL is missing/)
})

t.test('the service', async (t) => {
  const port = await freePort()
  const log = createLog('gateway', 'info', () => {})
  const gateway = await start(loadConfig(Config, { ...environment, HTTP_PORT: String(port) }), { log, metrics: createMetrics('gateway'), now: () => new Date() })
  t.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200, 'listens')
  t.equal(await gateway.checks['nats']?.(), 'ok')
  const broken = await sendRaw(port, 'this is no request\r\n\r\n')
  t.match(broken, /^HTTP\/1\.1 400 Bad Request\r\n.*\{"error":\{"code":"INVALID_REQUEST"/s, 'answers what is no request in the shape of every error')
  t.match(await sendRaw(port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /, 'takes no endless headers')
  const claim = await fetch(`http://127.0.0.1:${port}/api/claim`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'member1', wa_number_e164: '081200000001', template: 'nodejs' }) })
  t.match([claim.status, await claim.json()], [503, { error: { code: 'BOT_OFFLINE' } }], 'says when the bot is away')
  await gateway.stop()
  await t.rejects(fetch(`http://127.0.0.1:${port}/healthz`), 'and stops')
})

for (const minutes of [-300, -10, 10]) {
  t.test(`a gateway whose clock is ${minutes} minutes ahead`, async (t) => {
    const port = await freePort()
    const secret = 'w'.repeat(32)
    const group = '120363000000000001@g.us'
    const config = loadConfig(Config, { ...environment, HTTP_PORT: String(port), WEBHOOK_SECRETS: secret, GROUP_ID: group, MEMBER_ID_KEY: 'k'.repeat(32) })
    const gateway = await start(config, { log: createLog('gateway', 'silent', () => {}), metrics: createMetrics('gateway'), now: () => new Date(Date.now() + minutes * 60_000) })
    t.teardown(async () => { await gateway.stop() })
    const tell = async (signedAt: number): Promise<number> => {
      const body = JSON.stringify({ event: 'leave', wa_jid: '6281200000001@s.whatsapp.net', group_id: group, occurred_at: new Date(Date.now() - 1_000).toISOString(), nonce: randomUUID() })
      const timestamp = String(Math.floor(signedAt / 1_000))
      const headers = { 'content-type': 'application/json', 'x-timestamp': timestamp, 'x-signature': signatureOf(secret, timestamp, Buffer.from(body)) }
      return (await fetch(`http://127.0.0.1:${port}/api/whatsapp-webhook`, { method: 'POST', headers, body })).status
    }
    t.equal(await tell(Date.now()), 202, 'takes what an outside bot signs by a right clock')
    t.equal(await tell(Date.now() + minutes * 60_000), 401, 'and nothing by its own')
  })
}
