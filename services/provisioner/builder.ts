// Takes one claim from its request to a server that answers, or to a failure with nothing left behind. Each round of the loop takes the
// next step of what is written down, and writes down what came of it.
//
// Every write is on the disk before its answer, so a claim waits only for those that it must: what is `saved` is written before anything on
// the panel is made, changed or taken away, and before the end is said. What is `noted` or said is written meanwhile.
import { FAILURE_CODES, type FailureCode, type Step } from '../../contracts/codes.ts'
import type { claimRequested } from '../../contracts/events/claims.ts'
import { serverFailed, serverProgressed, serverReady } from '../../contracts/events/servers.ts'
import { Username } from '../../contracts/ids.ts'
import type { Bus } from '../common/bus.ts'
import { validatorOf, type Event } from '../common/envelope.ts'
import { codeOf, Fault, permanent, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { healthPortOf } from '../common/templates.ts'
import { inChildSpan, SpanKind } from '../common/tracing.ts'
import { createCreation } from './creation.ts'
import type { HealthCheck } from './health-check.ts'
import { emailOf, isOurs } from './identity.ts'
import type { Installs } from './installs.ts'
import type { Inventory } from './inventory.ts'
import type { ProvisionerMetrics } from './metrics.ts'
import { stopping } from './panel-budget.ts'
import type { Held, ProgressStore } from './progress-store.ts'
import { afterDiscard, afterInstall, afterProbe, begun, failing, nextStep, stepOf, troubled, untroubled, withoutServer, type Progress } from './provisioning.ts'
import type { Pterodactyl } from './pterodactyl.ts'
import type { Removal } from './removal.ts'
import type { TemplateRegister } from './template-register.ts'
import { createTurns, type Turn } from './turns.ts'
import { sleep, stored, type Work } from './work.ts'

export interface BuilderOptions {
  readonly bus: Bus
  readonly panel: Pterodactyl
  readonly store: ProgressStore
  readonly inventory: Inventory
  readonly installs: Installs
  readonly isUp: HealthCheck
  readonly removal: Removal
  readonly register: TemplateRegister
  readonly seal: (secret: string) => Promise<string>
  readonly newPassword: () => string
  readonly emailDomain: string
  readonly lostCreateWaitMs: number
  /** How long a claim waits for each kind of trouble to pass. */
  readonly deadlinesMs: Readonly<Partial<Record<string, number>>>
  readonly now: () => number
  readonly log: Log
  readonly metrics: Pick<ProvisionerMetrics, 'stepSeconds'>
}

export interface Builder {
  /** Resolves when the claim is ready or has failed, and that is said. `look`: what is written down of it, or that there is nothing to build. `count`: deliveries so far. */
  build (event: Event<typeof claimRequested.data>, look: () => Promise<Held | null | 'over'>, count: number, signal: AbortSignal): Promise<void>
}

const ROUNDS_MAX = 200
/** So many are looked at and make their account at once, in the order in which they came: of a crowd the panel takes two a second, and whoever else prepared for it would only take the processors from those who claim. */
export const ACCOUNTS_AT_ONCE = 50
/** A bug is tried again a few times, because the next version may mend it; then the member is told. */
const BUG_TRIES_MAX = 8

export function createBuilder (options: BuilderOptions): Builder {
  const { bus, panel, store, inventory, installs, isUp, removal, register, seal, newPassword, emailDomain, lostCreateWaitMs, deadlinesMs, now, log, metrics } = options

  async function build (event: Event<typeof claimRequested.data>, look: () => Promise<Held | null | 'over'>, count: number, signal: AbortSignal): Promise<void> {
    // Who comes for the first time has nothing to go on with; of who comes again, it shows only in what is written down.
    const turn = count === 1 ? await turns.take(signal) : undefined
    try {
      // Sealing and looking each take a while, and who comes for the first time needs a password as a rule.
      const password = count === 1 ? passwordSealed() : undefined
      password?.catch(() => {})
      const held = await look()
      if (held !== 'over') await go(event, held, count, turn, password, signal)
    } finally {
      turn?.end()
    }
  }

  async function go (event: Event<typeof claimRequested.data>, held: Held | null, count: number, turn: Turn | undefined, password: Work['password'], signal: AbortSignal): Promise<void> {
    const request = event.data
    const { claim_id, member_id, wa_jid: waJid } = request
    const work: Work = {
      request, eventId: event.id, askedAt: event.time, signal, turn, password,
      identity: { memberId: member_id, waJid, email: emailOf(member_id, emailDomain) },
      progress: held?.progress ?? begun(claim_id, member_id), written: Promise.resolve(held), overwritten: Promise.resolve(), said: Promise.resolve(),
    }
    if (work.progress.state === 'building') say(work, 'queued')
    try {
      await walk(work, count)
    } finally {
      // Whoever takes the claim up next finds nothing of ours still on its way.
      await Promise.allSettled([work.written, work.said])
      await work.overwritten
      await work.overwriteLast?.()
    }
  }

  async function walk (work: Work, count: number): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (work.signal.aborted) throw stopping()
      const next = nextStep(work.progress)
      if (next !== 'account') endTurn(work)
      if (next === 'nothing') return
      if (next === 'say_ready') return await sayReady(work)
      if (next === 'say_failed') return await sayFailed(work)
      const finished = metrics.stepSeconds.startTimer({ step: next })
      try {
        await inChildSpan(`step ${next}`, { attributes: { 'klaim.attempt': work.progress.attempt } }, async () => { await steps[next](work) })
        finished({ result: 'done' })
      } catch (error) {
        finished({ result: codeOf(error) })
        await judge(work, error, count)
      }
    }
    throw transient('ROUNDS_EXHAUSTED', 'a claim does not come to an end')
  }

  /** What the trouble of a step means for the claim: it waits (the fault goes on to the consumer), or it fails. */
  async function judge (work: Work, error: unknown, count: number): Promise<void> {
    const { progress } = work
    if (progress.state !== 'building') throw error
    const step = stepOf(nextStep(progress))
    const fails = async (code: FailureCode): Promise<void> => {
      log.warn({ decision: 'claim.given_up', claim_id: progress.claim_id, member_id: progress.member_id, code, step, err: error }, 'claim fails')
      await save(work, failing(progress, code, step))
    }
    if (!(error instanceof Fault)) {
      if (count < BUG_TRIES_MAX) throw error
      return await fails('INTERNAL')
    }
    if (error.kind === 'permanent') {
      if (!isFailureCode(error.code)) throw error
      return await fails(error.code)
    }
    const deadlineMs = deadlinesMs[error.code]
    if (deadlineMs === undefined || !isFailureCode(error.code)) throw error
    const waiting = troubled(progress, error.code, now(), deadlineMs)
    if (waiting === null) return await fails(error.code)
    await save(work, waiting)
    throw error
  }

  /** Resolves when this is on the disk, with all that was noted and said before. */
  async function save (work: Work, progress: Progress): Promise<void> {
    note(work, progress)
    await stored(work)
  }

  /** For what can be found out again, if only reads and waits come next. Whoever saves after it waits for it, and fails with it: then `ifLost` was done. */
  function note (work: Work, progress: Progress, ifLost = async (): Promise<void> => {}): void {
    const before = work.written
    work.progress = progress
    work.written = (async () => {
      try {
        const last = await before
        // Never more than one earlier state stands there, whatever the bucket's history is.
        await work.overwritten
        const { held, overwrite } = await store.write(last, progress)
        // NATS takes nothing else of this connection while it overwrites: the word that all is ready comes before the last time.
        if (progress.state === 'ready') work.overwriteLast = overwrite
        else work.overwritten = overwrite()
        return held
      } catch (error) {
        await ifLost()
        throw error
      }
    })()
    work.written.catch(() => {})
  }

  async function passwordSealed (): Promise<{ password: string, sealed: string }> {
    const password = newPassword()
    return { password, sealed: await seal(password) }
  }

  /** The member's account, with the password that is written down sealed. Only then is its number written down. */
  async function account (work: Work): Promise<void> {
    const { request, identity, signal } = work
    say(work, 'account')
    const { password, sealed } = await (work.password ?? passwordSealed())
    // For an account that has to be made once more there is another.
    delete work.password
    await save(work, { ...work.progress, sealed_password: sealed, is_password_sure: false })
    const known = work.progress.user
    const { user, isPasswordSet } = known
      ? { user: await panel.user(known.id, 'create', signal), isPasswordSet: false }
      : await panel.ensureUser(identity, request.username, password, signal)
    if (!user) {
      const { user: _, ...rest } = work.progress
      return await save(work, rest)
    }
    if (!isOurs(user, identity) || !validatorOf(Username).Check(user.username)) throw permanent('IDENTITY_CONFLICT', 'the account that holds the place of the member is not theirs')
    // Long may have passed since the claim was taken in hand (a full panel, a frozen machine), and another may have sent the login by now:
    // its password must not be overwritten. Who cannot write down that they are still at it is not.
    if (!isPasswordSet) await panel.setPassword(user, password, 'create', signal, identity, async () => { await save(work, work.progress) })
    note(work, { ...untroubled(work.progress), user: { id: user.id, username: user.username }, is_password_sure: true }, async () => { await store.doubtPassword(request.claim_id) })
  }

  async function discard (work: Work): Promise<void> {
    const { claim_id, server, user, port } = work.progress
    await removal.server(claim_id, { serverId: server?.id, userId: user?.id }, work.signal)
    if (port) await inventory.release(port.id, claim_id)
    await save(work, afterDiscard(work.progress))
  }

  async function install (work: Work): Promise<void> {
    const { server } = work.progress
    if (!server) return
    say(work, 'install')
    const { definition } = await register.template(work.request.template, work.request.template_version)
    const outcome = await installs.wait(server.uuid, server.made_at + definition.installDeadlineS * 1_000, work.signal)
    if (outcome === 'installed') work.progress = afterInstall(work.progress, outcome, now())
    else if (outcome !== 'missing') await save(work, afterInstall(work.progress, outcome, now()))
    else if (await panel.server(server.id, 'poll', work.signal) === null) await save(work, afterInstall(work.progress, 'vanished', now()))
  }

  async function probe (work: Work): Promise<void> {
    const { server, port, installed_at: installedAt = 0 } = work.progress
    if (!server || !port) return
    say(work, 'probe')
    const { definition } = await register.template(work.request.template, work.request.template_version)
    const deadlineAt = installedAt + definition.healthcheck.deadlineS * 1_000
    const address = { host: port.host, port: healthPortOf(definition, port.port) }
    const isAnswering = await inChildSpan('health check', { kind: SpanKind.CLIENT, attributes: { 'network.transport': 'tcp', 'server.port': address.port } }, async () => {
      if (await isUp(address, 0, work.signal)) return true
      // Only now is it worth a write since when there has been something to wait for.
      note(work, work.progress)
      return await isUp(address, deadlineAt, work.signal)
    })
    const outcome = isAnswering ? 'up' : await panel.server(server.id, 'poll', work.signal) ? 'late' : 'vanished'
    await save(work, afterProbe(work.progress, outcome))
  }

  async function cleanup (work: Work): Promise<void> {
    const { identity, signal } = work
    const { progress } = work
    const { claim_id, server, user, port, create_sent_at: sentAt, failure } = progress
    const mayHaveServer = server !== undefined || sentAt !== undefined
    if (mayHaveServer) {
      // An unanswered create may still be under way, and would come after the removal.
      if (sentAt !== undefined) await sleep(Math.max(0, sentAt + lostCreateWaitMs - now()), signal)
      await removal.server(claim_id, { serverId: server?.id, userId: user?.id }, signal)
      if (port) await inventory.release(port.id, claim_id)
      await save(work, withoutServer(progress))
    }
    try {
      // Before the first password there was no account to make.
      if (progress.sealed_password !== undefined) await removal.user(identity, user?.id, signal)
    } catch (error) {
      // A claim that failed because the panel is away would otherwise never be told so. An account without a server harms nobody, and
      // the member's next claim finds it by its ids.
      if (!failure?.code.startsWith('PANEL_') || !codeOf(error).startsWith('PANEL_')) throw error
      log.warn({ claim_id, member_id: progress.member_id, code: codeOf(error) }, 'an account without a server stays on the panel')
    }
    // What remains is the word that this claim is over, and why: its request may be delivered again.
    await save(work, { ...begun(claim_id, progress.member_id), state: 'failed', ...(failure === undefined ? {} : { failure }) })
  }

  const create = createCreation({ panel, inventory, register, lostCreateWaitMs, now, save, note, say })
  const turns = createTurns(ACCOUNTS_AT_ONCE)
  const accountInTurn = async (work: Work): Promise<void> => {
    work.turn ??= await turns.take(work.signal)
    try {
      await account(work)
    } finally {
      endTurn(work)
    }
  }
  const steps = { account: accountInTurn, create, discard, install, probe, cleanup } as const

  /** For the member to see; in order, because all go over one connection. */
  function say (work: Work, step: Step): void {
    const { request: { claim_id, member_id }, eventId, progress: { attempt } } = work
    const kept = bus.publish(serverProgressed, { key: `${claim_id}:${step}:${attempt}`, data: { claim_id, member_id, step, attempt }, correlation: claim_id, causation: eventId })
    work.said = Promise.all([work.said, kept])
    work.said.catch(() => {})
  }

  async function sayReady ({ request: { claim_id, member_id }, eventId, askedAt: since, progress }: Work): Promise<void> {
    const { user, server, port, sealed_password } = progress
    if (!user || !server || !port || sealed_password === undefined) throw permanent('STORE_CORRUPT', 'a ready claim lacks its server')
    await bus.publish(serverReady, {
      key: claim_id, correlation: claim_id, causation: eventId, since,
      data: {
        claim_id, member_id, user_id: user.id, server_id: server.id, allocation_id: port.id, identifier: server.identifier,
        address: { host: port.host, port: port.port }, username: user.username, sealed_password,
      },
    })
  }

  async function sayFailed ({ request: { claim_id, member_id }, eventId, askedAt: since, progress }: Work): Promise<void> {
    const { code, step } = progress.failure ?? { code: 'INTERNAL' as const, step: 'queued' as const }
    await bus.publish(serverFailed, { key: claim_id, data: { claim_id, member_id, code, step }, correlation: claim_id, causation: eventId, since })
  }

  return { build }
}

/** An account that has to be made once more waits for another turn. */
function endTurn (work: Work): void {
  work.turn?.end()
  delete work.turn
}

const isFailureCode = (code: string): code is FailureCode => (FAILURE_CODES as readonly string[]).includes(code)
