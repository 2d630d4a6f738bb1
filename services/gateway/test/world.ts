// The gateway in its world: a real nats-server, a bot that answers check-member over a real socket, and a claim store that answers as told.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test, TAP } from 'tap'
import type { Static } from 'typebox'
import type { CheckMemberAnswer } from '../../../contracts/http.ts'
import { admissionBucket, limitsStream } from '../../../contracts/streams.ts'
import { createClaim, getClaim, type ClaimView } from '../../../contracts/requests.ts'
import { startKlaimNats, type KlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { answering, createBus, type Bus } from '../../common/bus.ts'
import { createLog } from '../../common/log.ts'
import { createMembership } from '../../common/membership.ts'
import { loadMessages } from '../../common/messages.ts'
import { createMetrics, type Metrics } from '../../common/metrics.ts'
import { loadTemplates } from '../../common/templates.ts'
import { createAdmission, createDoor } from '../admission.ts'
import { createApp, type AppOptions } from '../app.ts'
import type { App } from '../gateway.ts'

const root = join(import.meta.dirname, '../../..')
export const SECRET = 'an-internal-secret-of-tests'
export const CLAIM_ID = '0b2f3c64-8c0e-4d36-9d6c-0d6f0a3b1c11'
export const OTHER_CLAIM_ID = '1b2f3c64-8c0e-4d36-9d6c-0d6f0a3b1c22'
export const JID = '6281200000001@s.whatsapp.net'
export const FORM = { username: 'member1', wa_number_e164: '0812 0000 0001', template: 'nodejs' }

type CreateQuestion = Static<typeof createClaim.question>
type CreateAnswer = Static<typeof createClaim.answer>

export interface World {
  readonly nats: KlaimNats
  readonly messages: ReturnType<typeof loadMessages>
  readonly logLines: string[]
  /** A connection to NATS of its own, as another gateway has one. */
  bus (t: Test): Promise<Bus>
  /** What the bot was asked, and what it answers: membership, a status, or a body that is no answer. */
  readonly bot: { asked: Array<{ wa_jid: string, secret: string | undefined }>, answer: (waJid: string) => Partial<Static<typeof CheckMemberAnswer>> | number | string }
  readonly store: { asked: CreateQuestion[], create: (question: CreateQuestion) => CreateAnswer | Promise<CreateAnswer>, claims: Map<string, ClaimView> }
  app (t: Test, config?: Partial<AppOptions['config']>, options?: Partial<AppOptions>): Promise<App & { klaimMetrics: Metrics }>
  stopStore (): Promise<void>
  startStore (): Promise<void>
}

export async function startWorld (t: TAP): Promise<World> {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const logLines: string[] = []
  const log = createLog('gateway', 'trace', (line) => logLines.push(line))
  const busOf = async (service: 'gateway' | 'claim-store'): Promise<Bus> => await createBus({ ...nats.playing(service), log, metrics: createMetrics(service), now: () => new Date() })
  const bus = await busOf('gateway')
  t.teardown(() => bus.close())
  const admissions = await bus.bucket(admissionBucket)
  await bus.respond(createDoor(bus, admissions, log))
  const admission = createAdmission(admissions)
  const messages = loadMessages(join(root, 'config/messages'))
  const templates = loadTemplates(join(root, 'config/templates.json'))

  const bot: World['bot'] = { asked: [], answer: () => ({}) }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => { body += chunk.toString() }).on('end', () => {
      const { wa_jid } = JSON.parse(body) as { wa_jid: string }
      bot.asked.push({ wa_jid, secret: request.headers['x-internal-secret'] as string | undefined })
      const answer = bot.answer(wa_jid)
      if (typeof answer === 'number') response.writeHead(answer).end()
      else if (typeof answer === 'string') response.end(answer)
      else response.end(JSON.stringify({ membership: 'present', member_id: 'abcdefghijklmnopqrst', wa_jid, seen_at: new Date().toISOString(), ...answer }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const membership = createMembership(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, SECRET)
  t.teardown(() => membership.close())

  const store: World['store'] = { asked: [], create: ({ claim_id }) => ({ ok: true, claim_id }), claims: new Map() }
  let storeBus: Bus | undefined
  const stopStore = async (): Promise<void> => { await storeBus?.close() }
  const startStore = async (): Promise<void> => {
    storeBus = await busOf('claim-store')
    await storeBus.respond([
      answering(createClaim, async (question) => { store.asked.push(question); return await store.create(question) }),
      answering(getClaim, async (question) => {
        const claim = 'claim_id' in question ? store.claims.get(question.claim_id) : undefined
        return claim ? { ok: true as const, claim } : { ok: false as const, rejection: 'NOT_FOUND' as const }
      }),
    ])
    await storeBus.raw.connection.flush()
  }
  await startStore()
  t.teardown(stopStore)

  return {
    nats, messages, logLines, bot, store, stopStore, startStore,
    bus: async (t) => {
      const bus = await busOf('gateway')
      t.teardown(() => bus.close())
      return bus
    },
    app: async (t, config = {}, options = {}) => {
      const klaimMetrics = createMetrics('gateway')
      const app = await createApp({
        // Counts of limits are kept under the secret: with its own, no app counts what was asked of another.
        config: { INTERNAL_SECRET: randomUUID(), HTTP_SOCKETS_MAX: 1000, RATE_LIMIT_IP_PER_MINUTE: 1000, RATE_LIMIT_JID_PER_MINUTE: 1000, RATE_LIMIT_STATUS_PER_MINUTE: 1000, ...config },
        bus, counters: bus.counters(limitsStream), membership, admission, messages, templates, log, metrics: klaimMetrics, now: () => new Date(), ...options,
      })
      t.teardown(() => app.close())
      return Object.assign(app, { klaimMetrics })
    },
  }
}

export function claimView (fields: Partial<ClaimView> = {}): ClaimView {
  const at = new Date().toISOString()
  return {
    claim_id: CLAIM_ID, wa_jid: JID, member_id: 'abcdefghijklmnopqrst', status: 'creating', user_id: null, server_id: null, allocation_id: null,
    deletion_scheduled_at: null, delete_job_id: null, created_at: at, updated_at: at, last_event_at: at, template: 'nodejs', username: 'member1', language: 'id', ...fields,
  }
}
