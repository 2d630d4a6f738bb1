// Members walk their way without pause while every service dies at one await after the other. First the services run undisturbed and write down
// which awaits they pass: those are the points, so a new await is tried without anybody naming it.
import { mkdtempSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nanos } from '@nats-io/transport-node'
import pLimit from 'p-limit'
import { CONSUMERS } from '../../../contracts/streams.ts'
import { SERVICES, startSystem, type Service, type System } from '../../../deploy/staging/system.ts'
import { withStreams } from '../crowd.ts'
import { until } from '../journey.ts'
import { aftermath } from './aftermath.ts'
import { pointsOf, shuffled, sitesOf, type Trace } from './points.ts'
import { STEPS, walk, type WalkOptions } from './walk.ts'
import { wreck, type Wreckage } from './wrecker.ts'

export interface CrashRun {
  readonly wreckage: readonly Wreckage[]
  /** Awaits that an undisturbed way passes, and those it never passes: paths of faults, which the chaos run takes. */
  readonly sites: { readonly passed: number, readonly notPassed: readonly string[] }
  readonly walks: number
  /** On so many of them the member came back in time to keep the server. */
  readonly returns: number
  /** What is lost, doubled or left over, in words. */
  readonly problems: readonly string[]
}

export interface CrashRunOptions {
  readonly seed: string
  /** The whole should take so long: as many points are tried as fit. Without it all are tried. */
  readonly durationMs?: number
  /** Members on their way at the same time. */
  readonly walkers?: number
  readonly services?: readonly Service[]
  readonly say?: (line: string) => void
}

const BOOTSTRAP = resolve(import.meta.dirname, 'bootstrap.ts')
/** While nobody dies a member comes back within seconds. */
const GRACE_MS_UNDISTURBED = 8_000
/** Long enough that who is warned can come back, though the services die all the time. */
const GRACE_MS = 30_000
/** So many of the members walk then: enough to pass each await several times. */
const UNDISTURBED = 8
/** In the group are many more than walk, so that those who leave at once are no suspicious part of it. */
const MEMBERS = 200
/** Services that die at the same time; the others live. */
const DYING_AT_ONCE = 3
/** In a long run now and then all live for a while: what needs several services at once, and is not repeated by itself, is done then. */
const REST_EVERY_MS = 150_000
const REST_MS = 40_000
/** So long a killed process holds up its work here; 10 s in production. More than the 3.3 s between its signs of life. */
const ACK_WAIT_MS = 4_500
/** Of a run of limited length, at its end: nobody sets out any more; nobody dies any more; and by so much it may be late before it has failed. */
const LAST_WALK_MS = 75_000
const LAST_DEATH_MS = 40_000
const LATE_MS = 420_000
/** However slow the machine: so long they die. In 30 s beside other tests three of six services had no turn. */
const DYING_MS_MIN = 120_000

export async function runCrashes ({ seed, durationMs, walkers = 24, services = SERVICES, say = () => {} }: CrashRunOptions): Promise<CrashRun> {
  const directory = mkdtempSync(join(tmpdir(), 'klaim-crash-'))
  const startedAt = Date.now()
  const cache = mkdtempSync(join(tmpdir(), 'klaim-crash-cache-'))
  const probe = (service: Service): Record<string, string> => ({ NODE_OPTIONS: `--import=${BOOTSTRAP}`, NODE_COMPILE_CACHE: cache, CRASH_CACHE: cache, CRASH_TRACE: join(directory, `${service}.trace.json`) })
  const system = await startSystem({
    directory, graceMs: GRACE_MS_UNDISTURBED, members: MEMBERS, say,
    env: {
      panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100', PANEL_DOUBLE_RATE_LIMIT: '100000', PANEL_DOUBLE_PORTS_PER_NODE: '500' },
      gateway: { RATE_LIMIT_IP_PER_MINUTE: '100000', RATE_LIMIT_JID_PER_MINUTE: '100000', ...probe('gateway') },
      provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200', LOST_CREATE_WAIT_MS: '3000', PASSWORD_RESET_EVERY_MS: '1000', ...probe('provisioner') },
      reaper: { SWEEP_EVERY_MS: '1000', POSTPONE_MS: '1000', BRAKE_DEPARTURES_MIN: '10000', DELETIONS_PER_MINUTE: '1000', ...probe('reaper') },
      bot: { SEND_GAP_MS: '20', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200', LOOKUPS_PER_MINUTE: '1000', RECONNECT_MIN_MS: '100', ...probe('bot') },
      'claim-store': probe('claim-store'), notifier: probe('notifier'),
      all: { LOG_LEVEL: 'info' },
    },
  })
  try {
    return await wreckAll(system, { seed, durationMs, walkers, services, say, directory, startedAt })
  } finally {
    await system.close()
  }
}

async function wreckAll (system: System, options: Required<Omit<CrashRunOptions, 'durationMs'>> & { durationMs: number | undefined, directory: string, startedAt: number }): Promise<CrashRun> {
  const { seed, durationMs, walkers, services, say, directory, startedAt } = options
  const endsAt = startedAt + (durationMs ?? Infinity)
  const problems: string[] = []
  let [walks, returns] = [0, 0]
  await withStreams(system, async (jsm) => { await Promise.all(CONSUMERS.map(async ({ stream, name }) => await jsm.consumers.update(stream, name, { ack_wait: nanos(ACK_WAIT_MS) }))) })
  const ended = new AbortController()
  const walking = async (member: number, how: Omit<WalkOptions, 'endsBy'>, isOver: () => boolean): Promise<void> => {
    do {
      walks++
      const { problems: found, isBack } = await walk(system, member, { ...how, endsBy: endsAt + LATE_MS }).catch((error: unknown) => ({ problems: [(error as Error).message], isBack: false }))
      problems.push(...found)
      if (isBack) returns++
    } while (!isOver() && problems.length === 0)
  }
  const all = async (members: number, each: (member: number) => Promise<void>): Promise<unknown> => await Promise.all(Array.from({ length: members }, async (_, n) => { await each(n + 1) }))

  // Each service writes its trace again and again: the first one from now on knows all that it did until it was ready.
  const readyAt = Date.now()
  const traceFile = (service: Service): string => join(directory, `${service}.trace.json`)
  const traces = async (): Promise<Trace[]> => await Promise.all(services.map(async (service) => JSON.parse(readFileSync(traceFile(service), 'utf8')) as Trace))
  await until('the first traces', async () => services.every((service) => statSync(traceFile(service)).mtimeMs > readyAt) || undefined)
  const ready = await traces()
  say('Some walk undisturbed')
  await all(Math.min(UNDISTURBED, walkers), async (member) => { await walking(member, { graceMs: GRACE_MS_UNDISTURBED }, () => true) })
  await Promise.all(SERVICES.map(async (service) => { await system.kill(service, 'SIGTERM') }))
  const whole = await traces()
  const points = services.map((_, n) => shuffled(pointsOf(ready[n] ?? {}, whole[n] ?? {}), seed))
  say(`${points.flat().length} points: ${services.map((service, n) => `${service} ${points[n]?.length} (${sitesOf(points[n] ?? [], 'run').size} awaits at work)`).join(', ')}`)
  const grace = { GRACE_MS: String(GRACE_MS) }
  await Promise.all(SERVICES.map(async (service) => { await system.start(service, grace) }))

  // Everybody waits at one step or another until all are there, so that from its first death on each service has work of every kind.
  const gathering = gather(walkers)
  const over = new AbortController()
  const underWay = all(walkers, async (member) => {
    const before: WalkOptions['before'] = async (step) => { if (step === STEPS[member % STEPS.length]) await gathering.arrive(member) }
    await walking(member, { graceMs: GRACE_MS, before }, () => {
      // Who came too late to be back has gone past the step.
      void gathering.arrive(member)
      return over.signal.aborted || Date.now() > endsAt - LAST_WALK_MS
    })
    // Once something is lost there is no use in going on.
    if (problems.length > 0) ended.abort()
  })
  await gathering.everybody
  // A run of limited length ends with nobody dying, so that the walks under way come to their end.
  const dyingMs = Math.max(endsAt - LAST_DEATH_MS - Date.now(), DYING_MS_MIN)
  const signal = durationMs === undefined ? ended.signal : AbortSignal.any([ended.signal, AbortSignal.timeout(dyingMs)])
  const turn = pLimit(DYING_AT_ONCE)
  const noRest = AbortSignal.any([over.signal, signal])
  // A rest takes every place of those that die: it begins when the last of them is through with its turn.
  const rest = async (): Promise<void> => {
    const places = gather(DYING_AT_ONCE)
    await Promise.all(Array.from({ length: DYING_AT_ONCE }, async (_, n) => await turn(async () => {
      await places.arrive(n)
      await delay(REST_MS, undefined, { signal: noRest }).catch(() => {})
    })))
  }
  const resting = async (): Promise<void> => { while (await delay(REST_EVERY_MS, true, { signal: noRest }).catch(() => false)) await rest() }
  say('And now they die')
  const wrecking = Promise.all(services.map(async (service, n) => await wreck(system, service, points[n] ?? [], { env: grace, diedFile: join(directory, `${service}.died`), turn, signal, say }))).finally(() => { over.abort() })
  const [wreckage] = await Promise.all([wrecking, resting()])
  say('Nobody dies any more, and everybody walks to the end')
  await underWay
  problems.push(...await aftermath(system, walks))

  const sites = whole.flatMap((trace) => Object.entries(trace))
  const passed = new Set(sites.filter(([, { run, stop }]) => run + stop > 0).map(([site]) => site))
  return { wreckage, sites: { passed: passed.size, notPassed: [...new Set(sites.map(([site]) => site))].filter((site) => !passed.has(site)).toSorted() }, walks, returns, problems }
}

/** Who arrives waits for the others. */
function gather (size: number): { arrive: (who: number) => Promise<void>, everybody: Promise<void> } {
  const { promise: everybody, resolve } = Promise.withResolvers<void>()
  const there = new Set<number>()
  return {
    everybody,
    arrive: async (who) => {
      there.add(who)
      if (there.size === size) resolve()
      await everybody
    },
  }
}
