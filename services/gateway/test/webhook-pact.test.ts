// The provider's side of the contract with an outside bot: the gateway as it runs, a real port and a real nats-server, against the pact that
// deploy/webhook/test/pact.test.ts writes. Pact replays the bot's examples; only what depends on the time, the signature, is made anew.
import t from 'tap'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { PACT_FILE, PROVIDER, STATES, Verifier } from '../../../contracts/test/pact.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { createBus } from '../../common/bus.ts'
import { loadConfig } from '../../common/config.ts'
import { createLog } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics } from '../../common/metrics.ts'
import { Config } from '../config.ts'
import { start } from '../main.ts'
import { signatureOf } from '../webhook-signature.ts'

const [SECRET, OTHER_SECRET, MEMBER_ID_KEY] = ['s'.repeat(32), 'x'.repeat(32), 'k'.repeat(32)]
const GROUP_ID = '120363000000000001@g.us'
const PATH = '/api/whatsapp-webhook'
const ASKED_MAX = 20

const root = join(import.meta.dirname, '../../..')
const nats = await startKlaimNats()
t.teardown(() => nats.close())
const runtime = (service: string) => ({ log: createLog(service, 'info', () => {}), metrics: createMetrics(service), now: () => new Date() })
const port = await freePort()
const gateway = await start(loadConfig(Config, {
  ...nats.env('gateway'), BOT_URL: 'http://127.0.0.1:9', INTERNAL_SECRET: 'an-internal-secret-of-tests', HTTP_PORT: String(port), WEBHOOK_SECRETS: SECRET, MEMBER_ID_KEY, GROUP_ID,
  TEMPLATES_FILE: join(root, 'config/templates.json'), MESSAGES_DIR: join(root, 'config/messages'), RATE_LIMIT_STATUS_PER_MINUTE: String(ASKED_MAX),
  // So that each bot can have an address of its own, told as a proxy tells it.
  TRUST_PROXY: '127.0.0.1',
}), runtime('gateway'))
t.teardown(() => gateway.stop())
const url = `http://127.0.0.1:${port}`

/** How the next bot signs, and from where it comes. */
let bots = 0
let bot = { secret: SECRET, secondsBehind: 0, address: '' }
const newBot = (as: Partial<typeof bot> = {}): void => { bot = { secret: SECRET, secondsBehind: 0, address: `203.0.113.${++bots}`, ...as } }
function signed (body: string): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000) - bot.secondsBehind)
  return { 'content-type': 'application/json', 'x-timestamp': timestamp, 'x-signature': signatureOf(bot.secret, timestamp, Buffer.from(body)), 'x-forwarded-for': bot.address }
}
const post = async (body: string): Promise<number> => (await fetch(`${url}${PATH}`, { method: 'POST', body, headers: signed(body) })).status

const isConnected = async (expected: boolean): Promise<void> => {
  while ((await gateway.checks['nats']?.() === 'ok') !== expected) await delay(5)
}

const stateHandlers = {
  [STATES.listening]: async () => { newBot() },
  [STATES.otherSecret]: async () => { newBot({ secret: OTHER_SECRET }) },
  [STATES.slowClock]: async () => { newBot({ secondsBehind: 120 }) },
  [STATES.nonceUsed]: async (parameters?: unknown) => {
    newBot()
    const { nonce } = parameters as { nonce: string }
    const status = await post(JSON.stringify({ event: 'join', wa_jid: '6281200000299@s.whatsapp.net', group_id: GROUP_ID, occurred_at: '2026-03-01T11:00:00.000Z', nonce }))
    if (status !== 202) throw new Error(`the first notice was answered with ${status}`)
  },
  [STATES.tooOften]: async () => {
    newBot()
    for (let asked = 0; asked <= ASKED_MAX; asked++) if (await post('') === 429) return
    throw new Error('nobody was told to wait')
  },
  [STATES.away]: {
    setup: async () => { newBot(); await nats.kill(); await isConnected(false) },
    teardown: async () => { await nats.restart(); await isConnected(true) },
  },
}

t.test('the gateway keeps the pact', async (t) => {
  const verified = new Verifier({
    provider: PROVIDER, providerBaseUrl: url, pactUrls: [PACT_FILE], stateHandlers, logLevel: 'error', timeout: 30_000,
    requestFilter: (request: { path: string, headers: object, body: unknown }, _response: unknown, next: () => void) => {
      // Pact's own calls, which set the states, come by here, too.
      if (request.path === PATH) Object.assign(request.headers, signed(JSON.stringify(request.body)))
      next()
    },
  }).verifyProvider()
  await t.resolves(verified)
})

t.test('what was accepted stands on MEMBERS, and nothing else', async (t) => {
  const bus = await createBus({ ...nats.playing('operator'), ...runtime('operator') })
  t.teardown(() => bus.close())
  for (const [wa_jid, definition] of [['6281200000200@s.whatsapp.net', memberJoined], ['6281200000201@s.whatsapp.net', memberLeft], ['6281200000299@s.whatsapp.net', memberJoined]] as const) {
    const member_id = memberIdOf(MEMBER_ID_KEY, wa_jid)
    const found = await bus.last('MEMBERS', `members.${member_id}.*`, [memberJoined, memberLeft])
    t.match([found?.definition.type, found?.event], [definition.type, { author: 'gateway', data: { member_id, wa_jid, group_id: GROUP_ID, observed_by: 'webhook' } }])
  }
  t.equal((await bus.raw.jsm.streams.info('MEMBERS')).state.messages, 3)
})
