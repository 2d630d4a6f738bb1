// What a used nonce survives. Gateways in one process could remember it together by mistake, so here each is a process of its own.
import t, { type Test } from 'tap'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ErrorBody } from '../../../contracts/http.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { signatureOf } from '../webhook-signature.ts'

const SECRET = 's'.repeat(32)
const root = join(import.meta.dirname, '../../..')
const nats = await startKlaimNats()
t.teardown(() => nats.close())

interface Door { readonly port: number, kill: () => Promise<void> }

/** A gateway as it runs, ready to be asked. */
async function gateway (t: Test): Promise<Door> {
  const port = await freePort()
  const child = spawn(process.execPath, ['services/gateway/main.ts'], {
    cwd: root, stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...nats.env('gateway'), BOT_URL: 'http://127.0.0.1:9', INTERNAL_SECRET: 'an-internal-secret-of-tests', HTTP_PORT: String(port), WEBHOOK_SECRETS: SECRET, GROUP_ID: '120363000000000001@g.us', MEMBER_ID_KEY: 'k'.repeat(32) },
  })
  const exit = once(child, 'exit')
  const kill = async (): Promise<void> => { child.kill('SIGKILL'); await exit }
  t.teardown(kill)
  for await (const line of createInterface({ input: child.stdout })) if (line.includes('service started')) return { port, kill }
  throw new Error('the gateway did not start')
}

/** '202', or status and code. */
async function tell ({ port }: Door, body: string): Promise<string> {
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const answer = await fetch(`http://127.0.0.1:${port}/api/whatsapp-webhook`, { method: 'POST', body, headers: { 'content-type': 'application/json', 'x-timestamp': timestamp, 'x-signature': signatureOf(SECRET, timestamp, Buffer.from(body)) } })
  return answer.status === 202 ? '202' : `${answer.status} ${((await answer.json()) as ErrorBody).error.code}`
}

t.test('a used nonce', async (t) => {
  const said = JSON.stringify({ event: 'leave', wa_jid: '6281200000001@s.whatsapp.net', group_id: '120363000000000001@g.us', occurred_at: new Date().toISOString(), nonce: randomUUID() })
  const [one, two] = await Promise.all([gateway(t), gateway(t)])
  t.equal(await tell(one, said), '202')
  t.equal(await tell(two, said), '401 NONCE_USED', 'is used at another gateway')
  await Promise.all([one.kill(), two.kill()])
  t.equal(await tell(await gateway(t), said), '401 NONCE_USED', 'after every gateway was killed')
  await nats.kill()
  await nats.restart()
  t.equal(await tell(await gateway(t), said), '401 NONCE_USED', 'and after nats-server was killed')
})
