// A whole bot against a real nats-server and the double of WhatsApp: what the tests beside this file share.
import { generateKeyPair, exportJWK } from 'jose'
import { BufferJSON, WA_CERT_DETAILS, type AuthenticationCreds } from '@whiskeysockets/baileys'
import type { Test } from 'tap'
import type { Static, TObject } from 'typebox'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { type Nats } from '../../../deploy/staging/nats/nats-server.ts'
import { stagingRoot } from '../../../deploy/staging/whatsapp/root-key.ts'
import { startWhatsApp, type Options, type WhatsApp } from '../../../deploy/staging/whatsapp/whatsapp.ts'
import { CHECK_MEMBER_PATH, INTERNAL_SECRET_HEADER, type CheckMemberAnswer } from '../../../contracts/http.ts'
import type { EventDefinition, ServiceName } from '../../../contracts/define.ts'
import { sessionBucket } from '../../../contracts/streams.ts'
import { createBus, type Bus } from '../../common/bus.ts'
import { loadConfig } from '../../common/config.ts'
import { decodeEvent } from '../../common/envelope.ts'
import { createLog } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics } from '../../common/metrics.ts'
import { createSealer } from '../../common/seal.ts'
import { startBot } from '../bot.ts'
import { BotConfig } from '../config.ts'
import { createCipher } from '../session-cipher.ts'
import { openSession } from '../session-store.ts'

// As the staging bootstrap does it; without this the bot refuses the double's address.
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(stagingRoot.public)

const { privateKey, publicKey } = await generateKeyPair('ECDH-ES', { extractable: true })
export const loginPrivateKeys = JSON.stringify({ keys: [{ ...await exportJWK(privateKey), kid: 'test' }] })
export const seal = await createSealer(JSON.stringify({ ...await exportJWK(publicKey), kid: 'test' }))

export const sessionKey = '0123456789abcdef0123456789abcdef'
export const memberIdKey = 'a member id key for tests'
export const internalSecret = 'an-internal-secret-for-tests'
export const jidOf = (number: string): string => `${number}@s.whatsapp.net`
export const memberOf = (number: string): string => memberIdOf(memberIdKey, jidOf(number))
export const member = (n: number): string => `62812${String(n).padStart(8, '0')}`
export const outsider = (n: number): string => `62813${String(n).padStart(8, '0')}`

export interface World {
  readonly nats: Nats
  readonly whatsapp: WhatsApp
  /** Every log line of every bot in this world. */
  readonly lines: string[]
  bus: (service: ServiceName) => Promise<Bus>
  bot: (settings?: Record<string, string>, now?: () => Date) => Promise<TestBot>
  /** The session that the bots of this world use, linked to the double. */
  link: () => Promise<void>
  /** Events of one kind, oldest first. */
  events: <Schema extends TObject>(definition: EventDefinition<Schema>) => Promise<Array<{ id: string, data: Static<Schema> }>>
  /** Waits until `count` events of a kind are stored. */
  told: <Schema extends TObject>(definition: EventDefinition<Schema>, count: number) => Promise<Array<{ id: string, data: Static<Schema> }>>
  /** Asks again and again, for what gives no event. */
  until: <Result>(what: string, look: () => Promise<Result | undefined> | Result | undefined) => Promise<Result>
  /** The configuration of a bot of this world, as a process gets it. */
  readonly env: Record<string, string>
  /** Waits for a log line. */
  logged: (sentence: string, count?: number) => Promise<void>
}

export interface TestBot {
  readonly url: string
  check: (number: string, live?: boolean) => Promise<CheckMemberAnswer>
  ready: () => Promise<Record<string, string>>
  metric: (name: string) => Promise<number>
  stop: () => Promise<void>
}

const fast = {
  ROSTER_EVERY_MS: '60000', ROSTER_DEBOUNCE_MS: '20', ROSTER_GAP_MS: '10', ROSTER_CONFIRM_READS: '3', ROSTER_CONFIRM_MS: '150', RECONNECT_MIN_MS: '20', RECONNECT_MAX_MS: '100', SEND_GAP_MS: '5', ANSWER_TIMEOUT_MS: '1500',
  LEASE_MS: '2000', INTERNAL_PORT: '0',
}
const waitMsMax = 25_000

/** By default the bot is linked already. */
export async function world (t: Test, options: Options & { linked?: boolean } = {}): Promise<World> {
  const { linked = true, ...seed } = options
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const whatsapp = await startWhatsApp(seed)
  t.teardown(() => whatsapp.close())
  const lines: string[] = []
  const watchers = new Set<() => void>()
  const write = (line: string): void => {
    lines.push(line)
    for (const look of watchers) look()
  }
  const stops = new Set<() => Promise<void>>()
  t.teardown(async () => { for (const stop of stops) await stop() })

  async function bus (service: ServiceName): Promise<Bus> {
    const opened = await createBus({ ...nats.playing(service), log: createLog(service, 'fatal'), metrics: createMetrics(service), now: () => new Date() })
    stops.add(async () => { await opened.close() })
    return opened
  }
  const reader = await bus('operator')

  async function events<Schema extends TObject> (definition: EventDefinition<Schema>): Promise<Array<{ id: string, data: Static<Schema> }>> {
    const found: Array<{ id: string, data: Static<Schema> }> = []
    const { state } = await reader.raw.jsm.streams.info(definition.stream)
    for (let seq = state.first_seq; seq > 0 && seq <= state.last_seq; seq++) {
      const message = await reader.raw.jsm.direct.getMessage(definition.stream, { seq }).catch(() => null)
      if (!message || message.header.get('ce-type') !== definition.type) continue
      const decoded = decodeEvent([definition], { subject: message.subject, headers: message.header, data: message.data })
      if (decoded) found.push({ id: decoded.event.id, data: decoded.event.data as Static<Schema> })
    }
    return found
  }

  async function until<Result> (what: string, look: () => Promise<Result | undefined> | Result | undefined): Promise<Result> {
    const deadline = performance.now() + waitMsMax
    while (performance.now() < deadline) {
      const found = await look()
      if (found !== undefined) return found
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error(`not within ${waitMsMax} ms: ${what}`)
  }

  const env = {
    ...nats.env('bot'), GROUP_ID: whatsapp.group, WHATSAPP_URL: whatsapp.url, INTERNAL_SECRET: internalSecret, MEMBER_ID_KEY: memberIdKey, LOGIN_PRIVATE_KEYS: loginPrivateKeys, SESSION_KEY: sessionKey,
    MESSAGES_DIR: new URL('../../../config/messages', import.meta.url).pathname, ...fast,
  }
  const made: World = {
    env, until, nats, whatsapp, lines, bus, events,
    told: async (definition, count) => await until(`${count} of ${definition.type}`, async () => {
      const found = await events(definition)
      return found.length >= count ? found : undefined
    }),
    logged: async (sentence, count = 1) => await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => { done(new Error(`not logged within ${waitMsMax} ms: ${sentence}`)) }, waitMsMax)
      const look = (): void => { if (lines.filter((line) => line.includes(`"msg":"${sentence}`)).length >= count) done() }
      const done = (error?: Error): void => {
        clearTimeout(timer)
        watchers.delete(look)
        if (error) reject(error)
        else resolve()
      }
      watchers.add(look)
      look()
    }),
    link: async () => {
      const session = await openSession(await reader.bucket(sessionBucket), createCipher(sessionKey), () => true)
      Object.assign(session.auth.creds, JSON.parse(whatsapp.createLinkedSession(), BufferJSON.reviver) as AuthenticationCreds)
      await session.saveCreds()
    },
    bot: async (settings = {}, now = () => new Date()) => {
      const config = loadConfig(BotConfig, { ...env, ...settings })
      const metrics = createMetrics('bot')
      const from = lines.length
      const running = await startBot(config, { log: createLog('bot', 'trace', write), metrics, now }, () => {})
      const opened = lines.slice(from).findLast((line) => line.includes('internal_port'))
      const url = `http://127.0.0.1:${(JSON.parse(opened ?? '{}') as { internal_port?: number }).internal_port}`
      let stopped: Promise<void> | undefined
      const stop = async (): Promise<void> => { await (stopped ??= running.stop()) }
      stops.add(stop)
      return {
        url, stop,
        check: async (number, live = false) => {
          const response = await fetch(new URL(CHECK_MEMBER_PATH, url), {
            method: 'POST', headers: { 'content-type': 'application/json', [INTERNAL_SECRET_HEADER]: internalSecret }, body: JSON.stringify({ wa_jid: jidOf(number), live }),
          })
          return await response.json() as CheckMemberAnswer
        },
        ready: async () => Object.fromEntries(await Promise.all(Object.entries(running.checks).map(async ([name, look]) => [name, await look()] as const))),
        metric: async (name) => {
          const text = await metrics.registry.metrics()
          return text.split('\n').filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
        },
      }
    },
  }
  if (linked) await made.link()
  return made
}

