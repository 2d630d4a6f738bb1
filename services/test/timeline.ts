// The services that decide about time, on a real nats-server and each with a clock of its own that can be set while they run. NATS's clock is right.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Static } from 'typebox'
import type { EventDefinition, ServiceName } from '../../contracts/define.ts'
import { pendingSubject } from '../../contracts/events/deletions.ts'
import { memberJoined, memberLeft } from '../../contracts/events/members.ts'
import { serverReady } from '../../contracts/events/servers.ts'
import { createClaim, getClaim, rosterSummary, type ClaimView } from '../../contracts/requests.ts'
import { startKlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { start as startClaimStore } from '../claim-store/main.ts'
import { answering, createBus, type Bus } from '../common/bus.ts'
import { decodeEvent } from '../common/envelope.ts'
import { createLog } from '../common/log.ts'
import { memberIdOf } from '../common/member-id.ts'
import { createMetrics } from '../common/metrics.ts'
import { scratch } from '../common/test/scratch.ts'
import { start as startNotifier } from '../notifier/main.ts'
import { start as startReaper } from '../reaper/main.ts'

export const MEMBER_ID_KEY = 'k'.repeat(32)
export const LEDGER_KEYS = 'l'.repeat(32)
export const SERVER = { user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node', port: 25565 }, username: 'member', sealed_password: 'a.b.c.d.e' }
export const SECRET = 's'.repeat(32)
const GROUP = '120363000000@g.us'
const WAIT_MS_MAX = 20_000

export type Clocked = 'claim-store' | 'reaper' | 'notifier' | 'bot'
export interface Said<Data = Record<string, unknown>> { readonly data: Data, readonly storedAt: number }

export async function until<Result> (what: string, look: () => Promise<Result | undefined> | Result | undefined): Promise<Result> {
  for (const deadline = performance.now() + WAIT_MS_MAX; performance.now() < deadline; await delay(20)) {
    const found = await look()
    if (found !== undefined) return found
  }
  throw new Error(`not within ${WAIT_MS_MAX} ms: ${what}`)
}

/** `isAway`: claim-store, reaper and notifier are not started yet. */
export async function timeline (t: Test, { graceMs = 1_000, isAway = false }: { graceMs?: number, isAway?: boolean } = {}) {
  const nats = await startKlaimNats()
  t.teardown(async () => { await nats.close() })
  const directory = scratch(t)
  /** By how much each clock is wrong, in milliseconds. */
  const wrongMs: Record<Clocked, number> = { 'claim-store': 0, reaper: 0, notifier: 0, bot: 0 }
  const clockOf = (name: Clocked) => (): Date => new Date(Date.now() + wrongMs[name])
  const metrics = { 'claim-store': createMetrics('claim-store'), reaper: createMetrics('reaper'), notifier: createMetrics('notifier') }
  const runtime = (name: keyof typeof metrics) => ({ log: createLog(name, 'info', () => {}), metrics: metrics[name], now: clockOf(name) })

  const busOf = async (service: ServiceName, now = (): Date => new Date()): Promise<Bus> => {
    const bus = await createBus({ ...nats.playing(service), log: createLog(service, 'silent', () => {}), metrics: createMetrics(service), now })
    t.teardown(async () => { await bus.close() })
    return bus
  }
  const [bot, provisioner, gateway, reader] = [await busOf('bot', clockOf('bot')), await busOf('provisioner'), await busOf('gateway'), await busOf('operator')]

  const present = new Set<string>()
  const door = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk }).on('end', () => {
      const { wa_jid } = JSON.parse(body) as { wa_jid: string }
      response.end(JSON.stringify({ membership: present.has(wa_jid) ? 'present' : 'absent', member_id: memberIdOf(MEMBER_ID_KEY, wa_jid), wa_jid, seen_at: clockOf('bot')().toISOString() }))
    })
  }).listen(0, '127.0.0.1')
  await once(door, 'listening')
  t.teardown(() => { door.closeAllConnections(); door.close() })
  await bot.respond([answering(rosterSummary, async () => ({ ok: true as const, state: 'known' as const, size: 30, seen_at: null, connection: 'open' }))])

  const botUrl = `http://127.0.0.1:${(door.address() as AddressInfo).port}`
  const common = { LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000 }
  async function start (): Promise<void> {
    const running = [
      await startClaimStore({ ...common, ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS, BOOK_FILE: join(directory, 'claims.json'), BOOK_EVERY_MS: 20, GRACE_MS: graceMs, RETENTION_DAYS: 90 }, runtime('claim-store')),
      await startReaper({
        ...common, ...nats.env('reaper'), BOT_URL: botUrl, INTERNAL_SECRET: SECRET, GRACE_MS: graceMs,
        DELETIONS_PER_MINUTE: 20, SWEEP_EVERY_MS: 200, POSTPONE_MS: 200, BRAKE_DEPARTURES_MIN: 5,
      }, runtime('reaper')),
      await startNotifier({ ...common, ...nats.env('notifier'), MESSAGES_DIR: resolve(import.meta.dirname, '../../config/messages'), PANEL_PUBLIC_URL: 'https://panel.klaim.invalid' }, runtime('notifier')),
    ]
    t.teardown(async () => { await Promise.all(running.map(async (service) => { await service.stop() })) })
  }
  if (!isAway) await start()

  let number = 6281200000000
  function somebody () {
    const wa_jid = `${++number}@s.whatsapp.net`
    const member_id = memberIdOf(MEMBER_ID_KEY, wa_jid)
    const claim_id = randomUUID()
    present.add(wa_jid)
    const moved = async (definition: typeof memberLeft, tells: { at?: number, by?: 'roster' | 'webhook' } = {}): Promise<void> => {
      const { at = clockOf('bot')().getTime(), by = 'roster' } = tells
      await bot.publish(definition, { key: randomUUID(), data: { member_id, wa_jid, group_id: GROUP, occurred_at: new Date(at).toISOString(), observed_by: by } })
    }
    return {
      wa_jid, member_id, claim_id,
      job: `${claim_id}-d1`,
      asked: { claimId: claim_id, memberId: member_id, waJid: wa_jid, language: 'id' as const, username: 'member', template: 'nodejs', templateVersion: 1, idempotencyKeyHash: undefined },
      claims: async (): Promise<void> => {
        await gateway.request(createClaim, { claim_id, wa_jid, username: 'member', template: 'nodejs', template_version: 1, language: 'id' })
        await provisioner.publish(serverReady, { key: claim_id, causation: `claim.requested.v1:${claim_id}`, data: { claim_id, member_id, ...SERVER } })
      },
      leaves: async (tells?: { at?: number, by?: 'roster' | 'webhook' }): Promise<void> => {
        present.delete(wa_jid)
        await moved(memberLeft, tells)
      },
      returns: async (): Promise<void> => {
        present.add(wa_jid)
        await moved(memberJoined)
      },
      is: async (status: ClaimView['status']): Promise<ClaimView> => await until(`${claim_id} is ${status}`, async () => {
        const answer = await gateway.request(getClaim, { claim_id })
        return answer.ok && answer.claim.status === status ? answer.claim : undefined
      }),
    }
  }

  /** Everything that was said of one kind, about one claim if asked for. */
  async function said<Definition extends EventDefinition> (definition: Definition, claimId?: string): Promise<Array<Said<Static<Definition['data']>>>> {
    const found: Array<Said<Static<Definition['data']>>> = []
    const { state } = await reader.raw.jsm.streams.info(definition.stream)
    for (let seq = state.first_seq; seq > 0 && seq <= state.last_seq; seq++) {
      const message = await reader.raw.jsm.direct.getMessage(definition.stream, { seq }).catch(() => null)
      // A schedule is the event that it will say.
      const decoded = message && !message.subject.startsWith(pendingSubject('')) && decodeEvent([definition], { subject: message.subject, headers: message.header, data: message.data })
      if (message && decoded && (claimId === undefined || (decoded.event.data as { claim_id?: string }).claim_id === claimId)) found.push({ data: decoded.event.data as Static<Definition['data']>, storedAt: message.time.getTime() })
    }
    return found
  }
  const counted = async (service: keyof typeof metrics, name: string, labels: Record<string, string>): Promise<number> =>
    (await metrics[service].registry.getSingleMetric(name)?.get())?.values.find((value) => Object.entries(labels).every(([label, wanted]) => value.labels[label] === wanted))?.value ?? 0
  const deadLetters = async (): Promise<number> => (await reader.raw.jsm.streams.info('DEAD_LETTERS')).state.messages
  return { nats, wrongMs, start, busOf, reader, somebody, said, counted, deadLetters, present, common, botUrl }
}
