// A provisioner against a real nats-server and the panel's double, with claim-store's part played by the test.
import type { Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Static } from 'typebox'
import { exportJWK, generateKeyPair } from 'jose'
import { startKlaimNats, type KlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { defaultNodes, startPanel, type Panel, type PanelOptions } from '../../../deploy/staging/panel/panel.ts'
import { claimRequested, deletionStarted } from '../../../contracts/events/claims.ts'
import { serverDeleted, serverFailed, serverProgressed, serverReady } from '../../../contracts/events/servers.ts'
import { getClaim, type ClaimView } from '../../../contracts/requests.ts'
import { answering, createBus, type Bus } from '../../common/bus.ts'
import type { EventData } from '../../common/consume.ts'
import { loadConfig } from '../../common/config.ts'
import { decodeEvent, type Event } from '../../common/envelope.ts'
import { createLog, type Log } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics, type Metrics } from '../../common/metrics.ts'
import { sayCaused } from '../../common/test/because.ts'
import { createOpener } from '../../common/seal.ts'
import { loadTemplates, type TemplateDefinition } from '../../common/templates.ts'
import { Config } from '../config.ts'
import { start } from '../main.ts'

export const DOMAIN = 'members.example.invalid'
export const templatesFile = join(import.meta.dirname, '../../../config/templates.json')
export const shippedTemplates = (): Record<string, TemplateDefinition> => Object.fromEntries([...loadTemplates(templatesFile)].map(([name, { definition }]) => [name, structuredClone(definition) as TemplateDefinition]))

const { privateKey, publicKey } = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
const publicJwk = JSON.stringify({ ...await exportJWK(publicKey), kid: 'test' })
export const open = await createOpener(JSON.stringify({ keys: [{ ...await exportJWK(privateKey), kid: 'test' }] }))

export type ServerEvent = Event & { readonly name: 'progressed' | 'ready' | 'failed' | 'deleted' }
export type Request = EventData<typeof claimRequested>

export interface World {
  readonly nats: KlaimNats
  readonly panel: Panel
  readonly claimStore: Bus
  readonly templates: Record<string, TemplateDefinition>
  /** Every log line of every provisioner. */
  readonly lines: string[]
  provisioner (config?: Partial<Config>): Promise<Provisioner>
  request (change?: Partial<Request>): Promise<Request>
  remove (request: Request, ids: { user_id: number, server_id: number }): Promise<string>
  /** The event that ends the claim's making or its deletion. */
  ended (claimId: string, names?: ReadonlyArray<ServerEvent['name']>): Promise<ServerEvent>
  said (claimId: string): ServerEvent[]
  /** What the ledger says of this claim from now on. */
  stands (claimId: string, view: Partial<ClaimView>): void
  /** How wrong the clock of every provisioner is. */
  readonly clock: { wrongMs: number }
  /** The ledger stands by this claim no more. */
  forget (claimId: string): void
  bucket (name: string, key: string): Promise<string | undefined>
  saveTemplates (): string
}
export interface Provisioner { stop (): Promise<void>, readonly metrics: Metrics, readonly checks: Record<string, () => string | Promise<string>> }

let members = 0

/** The environment of a provisioner whose waits are short. */
export function configOf ({ nats, panel, saveTemplates }: Pick<World, 'nats' | 'panel' | 'saveTemplates'>, changes: Partial<Config> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries({
    ...nats.env('provisioner'), PANEL_URL: panel.url, PANEL_KEY: panel.applicationKey, CLAIM_EMAIL_DOMAIN: DOMAIN, LOGIN_PUBLIC_KEY: publicJwk, TEMPLATES_FILE: saveTemplates(),
    INSTALL_POLL_EVERY_MS: 60, PROBE_EVERY_MS: 50, PROBE_TIMEOUT_MS: 500, LOST_CREATE_WAIT_MS: 400, PANEL_PATIENCE_MS: 500, ...changes,
  }).map(([name, value]) => [name, String(value)]))
}

export async function world (t: Test, options: { panel?: PanelOptions, templates?: Record<string, TemplateDefinition> } = {}): Promise<World> {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const panel = await startPanel({ wings: { installDelayMs: 50 }, ...options.panel })
  t.teardown(() => panel.close())
  const lines: string[] = []
  const log: Log = createLog('test', 'debug', (line) => lines.push(line))
  const claimStore = await createBus({ ...nats.playing('claim-store'), log, metrics: createMetrics('test'), now: () => new Date() })
  t.teardown(() => claimStore.close())
  // The ledger stands by every claim that the test asks for.
  const asked = new Map<string, ClaimView>()
  await claimStore.respond([answering(getClaim, async (question): Promise<Static<typeof getClaim.answer>> => {
    const claim = 'claim_id' in question ? asked.get(question.claim_id) : undefined
    return claim ? { ok: true, claim } : { ok: false, rejection: 'NOT_FOUND' }
  })])
  const events: ServerEvent[] = []
  const waiting = new Set<() => void>()
  const consumer = await claimStore.raw.js.consumers.get('SERVERS')
  const messages = await consumer.consume()
  t.teardown(() => { messages.stop() })
  void (async () => {
    for await (const message of messages) {
      const decoded = decodeEvent([serverProgressed, serverReady, serverFailed, serverDeleted], message)
      if (!decoded) continue
      events.push({ ...decoded.event, name: message.subject.split('.')[2] as ServerEvent['name'] })
      for (const check of waiting) check()
    }
  })()
  const templates = options.templates ?? shippedTemplates()
  const file = join(t.testdir({}), 'templates.json')
  const saveTemplates = (): string => {
    writeFileSync(file, JSON.stringify({ templates }))
    return file
  }
  saveTemplates()

  const clock = { wrongMs: 0 }
  const said = (claimId: string): ServerEvent[] => events.filter(({ data }) => (data as { claim_id: string }).claim_id === claimId)
  return {
    nats, panel, claimStore, templates, lines, said, saveTemplates, clock,
    stands: (claimId, view) => { asked.set(claimId, { ...asked.get(claimId) as ClaimView, ...view }) },
    forget: (claimId) => { asked.delete(claimId) },
    provisioner: async (changes = {}) => {
      const config = loadConfig(Config, configOf({ nats, panel, saveTemplates }, changes))
      const metrics = createMetrics('provisioner')
      const running = await start(config, { log, metrics, now: () => new Date(Date.now() + clock.wrongMs) })
      let stopped: Promise<void> | undefined
      const stop = async (): Promise<void> => { await (stopped ??= running.stop()) }
      t.teardown(stop)
      return { stop, metrics, checks: running.checks }
    },
    request: async (change = {}) => {
      const number = ++members
      const wa_jid = change.wa_jid ?? `62812${String(number).padStart(8, '0')}@s.whatsapp.net`
      const data: Request = {
        claim_id: randomUUID(), member_id: memberIdOf('test key', wa_jid), wa_jid, language: 'id',
        username: `member${number}`, template: 'nodejs', template_version: templates['nodejs']?.version ?? 1, ...change,
      }
      const at = new Date().toISOString()
      asked.set(data.claim_id, { ...data, status: 'creating', user_id: null, server_id: null, allocation_id: null, deletion_scheduled_at: null, delete_job_id: null, created_at: at, updated_at: at, last_event_at: at })
      await claimStore.publish(claimRequested, { key: `${data.claim_id}:${randomUUID()}`, data, correlation: data.claim_id })
      return data
    },
    remove: async ({ claim_id, member_id, wa_jid, language }, ids) => {
      const delete_job_id = `${claim_id}-d1`
      await sayCaused(claimStore, deletionStarted, { key: `${delete_job_id}:${randomUUID()}`, data: { claim_id, member_id, wa_jid, language, delete_job_id, ...ids }, correlation: claim_id })
      return delete_job_id
    },
    ended: async (claimId, names = ['ready', 'failed']) => await new Promise((resolve) => {
      const check = (): void => {
        const found = said(claimId).find(({ name }) => names.includes(name))
        if (!found) return
        waiting.delete(check)
        resolve(found)
      }
      waiting.add(check)
      check()
    }),
    bucket: async (name, key) => {
      const message = await claimStore.raw.jsm.direct.getMessage(`KV_${name}`, { last_by_subj: `$KV.${name}.${key}` })
      return message?.string()
    },
  }
}

export { defaultNodes }
export type ReadyData = EventData<typeof serverReady>
export const ready = (event: ServerEvent): ReadyData => {
  if (event.name !== 'ready') throw new Error(`the claim ended otherwise: ${JSON.stringify(event.data)}`)
  return event.data as ReadyData
}
export const failure = (event: ServerEvent): string => event.name === 'failed' ? `${(event.data as EventData<typeof serverFailed>).code}@${(event.data as EventData<typeof serverFailed>).step}` : event.name
/** Routes the panel was called on, with how often. */
export const callsOf = (panel: Panel): Record<string, number> => Object.fromEntries(Object.entries(panel.state().requests).map(([route, { total }]) => [route, total]))
export const accountsOf = (panel: Panel) => panel.state().users.filter(({ username }) => !['admin', 'second-admin', 'plain-user'].includes(username))

/** A call of some other user of the panel. */
export async function panelCall (panel: Panel, method: string, path: string, body?: object, key = panel.keys.otherAdmin): Promise<{ status: number, attributes: Record<string, unknown> }> {
  const response = await fetch(`${panel.url}/api/application${path}`, {
    method, headers: { authorization: `Bearer ${key}`, accept: 'application/json', 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, attributes: text === '' ? {} : (JSON.parse(text) as { attributes: Record<string, unknown> }).attributes }
}

export const account = (fields: object): object => ({ email: 'someone@elsewhere.example.invalid', username: 'someone', first_name: 'Some', last_name: 'One', ...fields })
