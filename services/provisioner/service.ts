// The provisioner put together: what it hears, what it answers, how it ends.
import { claimErased, claimRequested, deletionStarted } from '../../contracts/events/claims.ts'
import { getClaim, listClaims, resetPassword } from '../../contracts/requests.ts'
import { allocationsBucket, maxAgeMsOf, provisionerClaims, provisioningBucket, templatesBucket } from '../../contracts/streams.ts'
import { startAging } from '../common/aging.ts'
import { answering, type Bus } from '../common/bus.ts'
import { on, type EventData } from '../common/consume.ts'
import { eraseMessages } from '../common/erase-stream.ts'
import { codeOf, permanent, transient } from '../common/fault.ts'
import { checkForgotten } from '../common/forgotten.ts'
import type { Runtime } from '../common/run.ts'
import { createSealer } from '../common/seal.ts'
import type { Templates } from '../common/templates.ts'
import { apart } from '../common/tracing.ts'
import { createBuilder } from './builder.ts'
import type { Config } from './config.ts'
import { createDeleter } from './deleter.ts'
import { createDeletionLooks } from './deletion-looks.ts'
import { watchDrift } from './drift-watch.ts'
import { createHealthCheck } from './health-check.ts'
import { createInstalls, lookEveryMs } from './installs.ts'
import { createInventory } from './inventory.ts'
import { createProvisionerMetrics } from './metrics.ts'
import { createPanelBudget } from './panel-budget.ts'
import { createPanelClient } from './panel-client.ts'
import { createPasswordReset, resetKey } from './password-reset.ts'
import { randomPassword } from './password.ts'
import { createProgressStore } from './progress-store.ts'
import { createPterodactyl } from './pterodactyl.ts'
import { createRemoval } from './removal.ts'
import { createStrays } from './strays.ts'
import { createTemplateRegister } from './template-register.ts'

export interface Service {
  /** One word for the health page, `ok` where the service can do its work. */
  readonly checks: { readonly panel: () => string, readonly templates: () => string }
  /** Ends waits at once and calls under way after a moment; messages in hand are handed back. */
  stop (): Promise<void>
}

/** Calls under way when the service stops get this long, so that few answers are lost. */
const STOP_CALLS_MS = 5_000
/** While the panel is away somebody must ask, or nobody would notice that it is back. */
const AWAY_CHECK_EVERY_MS = 15_000
const VANISHED_CHECK_EVERY_MS = 60_000
const FREE_CHECK_EVERY_MS = 5 * 60_000
/** A claim-store that has just started may know less than the stream for a moment. */
const DISBELIEF_DELIVERIES = 4
const LIVING = ['creating', 'active', 'deleting'] as const

/** Permanent Faults TEMPLATE_CHANGED, TEMPLATE_VERSION_BACK, TEMPLATE_IN_USE where the templates would break living claims. */
export async function createService (config: Readonly<Config>, { log, metrics, now: date }: Runtime, bus: Bus, templates: Templates): Promise<Service> {
  const now = (): number => date().getTime()
  const waits = new AbortController()
  const calls = new AbortController()
  const registry = metrics.registry
  const seal = await createSealer(config.LOGIN_PUBLIC_KEY)
  const [provisioning, allocations, registered] = await Promise.all([bus.bucket(provisioningBucket), bus.bucket(allocationsBucket), bus.bucket(templatesBucket)])

  const register = createTemplateRegister(registered)
  await register.register(templates)
  let templatesState = await vanishedState()
  if (templatesState === 'in use') throw permanent('TEMPLATE_IN_USE', 'a template that claims still use is not in the file any more')

  const budget = createPanelBudget({ concurrency: { server: config.CREATE_CONCURRENCY, other: config.PANEL_CONCURRENCY }, windowMs: config.RATE_WINDOW_MS, patienceMs: config.PANEL_PATIENCE_MS, now })
  const client = createPanelClient({
    url: config.PANEL_URL, key: config.PANEL_KEY, budget, readTimeoutMs: config.PANEL_READ_TIMEOUT_MS, writeTimeoutMs: config.PANEL_WRITE_TIMEOUT_MS, registry,
    stopCalls: calls.signal,
  })
  const panel = createPterodactyl(client)
  const own = createProvisionerMetrics(registry, { installs: () => installs.pending() })
  const store = createProgressStore(provisioning)
  const inventory = createInventory({ read: async (id, lane, signal) => await panel.node(id, lane, signal), reservations: allocations, freshMs: config.INVENTORY_FRESH_MS, breakMs: config.NODE_BREAK_MS, now, random: Math.random, onRead: (node, free) => { own.freeAllocations.set({ node: String(node) }, free) }, log })
  const installs = createInstalls({ read: async (uuids, signal) => await apart(async () => await panel.statuses(uuids, signal)), everyMs: () => lookEveryMs(config.INSTALL_POLL_EVERY_MS, budget.limit(), config.RATE_WINDOW_MS), patienceMs: config.PANEL_PATIENCE_MS, now, signal: waits.signal })
  const looks = createDeletionLooks({ read: async (claimIds, onSend) => await apart(async () => await panel.serversOfClaims(claimIds, 'delete', waits.signal, onSend)), atOnce: config.PANEL_CONCURRENCY, now })
  const removal = createRemoval({ panel, looks, now })
  const builder = createBuilder({
    bus, panel, store, inventory, installs, removal, register, seal, newPassword: randomPassword, emailDomain: config.CLAIM_EMAIL_DOMAIN, now, log, metrics: own,
    isUp: createHealthCheck({ everyMs: config.PROBE_EVERY_MS, timeoutMs: config.PROBE_TIMEOUT_MS, now }),
    lostCreateWaitMs: config.LOST_CREATE_WAIT_MS,
    deadlinesMs: {
      PANEL_DOWN: config.PANEL_DEADLINE_MS, PANEL_KEY_REFUSED: config.PANEL_DEADLINE_MS, PANEL_RATE_LIMITED: config.PANEL_DEADLINE_MS,
      NODE_DOWN: config.NODE_DEADLINE_MS, TEMPLATE_UNKNOWN: config.TEMPLATE_DEADLINE_MS,
    },
  })
  const deleter = createDeleter({ bus, removal, store, inventory, emailDomain: config.CLAIM_EMAIL_DOMAIN })
  const resetting = createPasswordReset({ panel, store, bucket: provisioning, seal, newPassword: randomPassword, emailDomain: config.CLAIM_EMAIL_DOMAIN, everyMs: config.PASSWORD_RESET_EVERY_MS, now, signal: waits.signal, log })

  /**
   * May the file do without a template that was once offered? claim-store knows. Where it does not answer, work goes on and the question is
   * asked again: claims are built from the registered versions, so nothing breaks meanwhile, while a provisioner that refused to start would
   * hold up every claim, and the two services are often started together.
   */
  async function vanishedState (): Promise<'ok' | 'in use' | 'unknown'> {
    try {
      const vanished = await register.vanished(templates)
      if (vanished.length === 0) return 'ok'
      for (const status of LIVING) {
        for (let after: string | undefined; ;) {
          const { claims, next } = await bus.request(listClaims, { status, limit: 200, ...(after === undefined ? {} : { after }) })
          const used = claims.find(({ template }) => template !== undefined && vanished.includes(template))
          if (used) {
            log.error({ template: used.template, code: 'TEMPLATE_IN_USE' }, 'a template that claims still use is not in the file any more')
            return 'in use'
          }
          if (next === undefined) break
          after = next
        }
      }
      return 'ok'
    } catch (error) {
      log.warn({ code: codeOf(error) }, 'whether templates that are gone are still in use is asked again')
      return 'unknown'
    }
  }

  /** A request has no cause but a form, so the ledger is asked whether it stands by it: nobody gets a server by writing on a stream. */
  async function isStoodBy ({ claim_id, member_id, wa_jid }: EventData<typeof claimRequested>): Promise<boolean> {
    const answer = await bus.request(getClaim, { claim_id })
    return answer.ok && answer.claim.member_id === member_id && answer.claim.wa_jid === wa_jid
  }

  function disbelief (count: number): Error {
    const words = 'a claim was asked for that the ledger does not know'
    return count < DISBELIEF_DELIVERIES ? transient('CAUSE_UNKNOWN', words) : permanent('CAUSE_UNKNOWN', words)
  }

  /** A request may come again after its member was erased, and what was written down about it, so that it looks like a new one. */
  async function isErased (memberId: string, sequence: number): Promise<boolean> {
    const word = await bus.last('CLAIMS', `claims.${memberId}.erased`, [claimErased])
    return word !== null && word.sequence > sequence
  }

  async function forget ({ member_id: memberId, claims }: EventData<typeof claimErased>): Promise<void> {
    let [events, entries] = [0, 0]
    for (const { claim_id: claimId } of claims) {
      events += await eraseMessages(bus, { stream: 'SERVERS', filter: `servers.${claimId}.*` })
      entries += await eraseMessages(bus, { stream: `KV_${provisioningBucket.name}`, filter: `$KV.${provisioningBucket.name}.${claimId}` })
    }
    entries += await eraseMessages(bus, { stream: `KV_${provisioningBucket.name}`, filter: `$KV.${provisioningBucket.name}.${resetKey(memberId)}` })
    log.info({ decision: 'member.forgotten', member_id: memberId, events, entries }, 'what was done for a former member is erased')
  }

  const checking = setInterval(() => {
    if (templatesState === 'unknown') void vanishedState().then((state) => { templatesState = state })
  }, VANISHED_CHECK_EVERY_MS)

  const aging = startAging({ bus, what: [{ stream: 'SERVERS', filter: 'servers.>', maxAgeMs: maxAgeMsOf('SERVERS') }], now: date, log })
  const nodes = [...new Set([...templates.values()].flatMap(({ definition }) => definition.nodes))]
  const warm = (): void => { void inventory.warm(nodes, waits.signal).catch((error: unknown) => { log.warn({ code: codeOf(error) }, 'the nodes could not be read') }) }
  // A wrong key or address shows at the start rather than at the first claim.
  warm()
  const calling = setInterval(() => { if (budget.awayBecause() !== null) warm() }, AWAY_CHECK_EVERY_MS)
  // Somebody may add or take ports on the panel while nobody claims.
  const counting = setInterval(warm, FREE_CHECK_EVERY_MS)

  const drift = watchDrift({ bus, panel, emailDomain: config.CLAIM_EMAIL_DOMAIN, everyMs: config.DRIFT_EVERY_MS, metrics: own, log, signal: waits.signal })
  const strays = createStrays({ bus, panel, removal, emailDomain: config.CLAIM_EMAIL_DOMAIN, signal: waits.signal, log })
  await bus.respond([answering(resetPassword, resetting), ...strays])
  const subscription = bus.consume(provisionerClaims, [
    on(claimRequested, async (event, { count, sequence }) => {
      await builder.build(event, async () => {
        const [isOver, isTrue, held] = await Promise.all([isErased(event.data.member_id, sequence), isStoodBy(event.data), store.load(event.data.claim_id)])
        if (isOver) return 'over'
        if (!isTrue) throw disbelief(count)
        return held
      }, count, waits.signal)
    }),
    on(claimErased, async ({ data }, { count }) => {
      await checkForgotten(bus, data, count)
      await forget(data)
    }),
    on(deletionStarted, async (event, { count }) => { await deleter.remove(event, count, waits.signal) }),
  ])

  return {
    checks: {
      panel: () => budget.awayBecause() ?? 'ok',
      templates: () => templatesState === 'in use' ? 'TEMPLATE_IN_USE' : 'ok',
    },
    stop: async () => {
      clearInterval(checking)
      clearInterval(calling)
      clearInterval(counting)
      waits.abort()
      const late = setTimeout(() => { calls.abort() }, STOP_CALLS_MS)
      await subscription.stop()
      await Promise.all([aging.stop(), drift.stop()])
      clearTimeout(late)
      await panel.close()
    },
  }
}
