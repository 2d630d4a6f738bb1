// Members walk their way without pause while every service dies at one await after the other. First the services run undisturbed and write down
// which awaits they pass: those are the points, so a new await is tried without anybody naming it.
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { nanos } from '@nats-io/transport-node'
import { CONSUMERS } from '../../../contracts/streams.ts'
import { SERVICES, startSystem, type Service, type System } from '../../../deploy/staging/system.ts'
import { settled, stored, withStreams } from '../crowd.ts'
import { panelState, serversMade } from '../journey.ts'
import { pointsOf, shuffled, type Trace } from './points.ts'
import { walk } from './walk.ts'
import { wreck, type Wreckage } from './wrecker.ts'

export interface CrashRun {
  readonly wreckage: readonly Wreckage[]
  /** All points there are, and awaits that an undisturbed way never passes: paths of faults, which the chaos run takes. */
  readonly points: number
  readonly sites: { readonly passed: number, readonly notPassed: readonly string[] }
  readonly walks: number
  /** What is lost, doubled or left over, in words. */
  readonly problems: readonly string[]
}

export interface CrashRunOptions {
  readonly seed: string
  /** No new point is taken up after this time; without it all are tried. */
  readonly durationMs?: number
  /** Members on their way at the same time. */
  readonly walkers?: number
  readonly services?: readonly Service[]
  readonly say?: (line: string) => void
}

const BOOTSTRAP = resolve(import.meta.dirname, 'bootstrap.ts')
/** In the group are many more than walk, so that those who leave at once are no suspicious part of it. */
const MEMBERS = 200
/** So long a killed process holds up its work here; 10 s in production. Less than that, and more than the 3.3 s between its signs of life. */
const ACK_WAIT_MS = 4_500

export async function runCrashes ({ seed, durationMs, walkers = 12, services = SERVICES, say = () => {} }: CrashRunOptions): Promise<CrashRun> {
  const directory = mkdtempSync(join(tmpdir(), 'klaim-crash-'))
  const probe = (service: Service): Record<string, string> => ({ NODE_OPTIONS: `--import=${BOOTSTRAP}`, CRASH_TRACE: join(directory, `${service}.trace.json`) })
  const system = await startSystem({
    directory, graceMs: 20_000, members: MEMBERS, say,
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
    return await wreckAll(system, { seed, durationMs, walkers, services, say, directory, probe })
  } finally {
    await system.close()
  }
}

async function wreckAll (system: System, options: Required<Omit<CrashRunOptions, 'durationMs'>> & { durationMs: number | undefined, directory: string, probe: (service: Service) => Record<string, string> }): Promise<CrashRun> {
  const { seed, durationMs, walkers, services, say, directory, probe } = options
  const problems: string[] = []
  let walks = 0
  await withStreams(system, async (jsm) => { await Promise.all(CONSUMERS.map(async ({ stream, name }) => await jsm.consumers.update(stream, name, { ack_wait: nanos(ACK_WAIT_MS) }))) })
  const ended = new AbortController()
  const walking = async (member: number, isOver: () => boolean): Promise<void> => {
    do {
      walks++
      problems.push(...await walk(system, member).catch((error: unknown) => [(error as Error).message]))
    } while (!isOver() && problems.length === 0)
  }

  say('Everybody walks once, undisturbed')
  await Promise.all(Array.from({ length: walkers }, async (_, n) => { await walking(n + 1, () => true) }))
  await Promise.all(services.map(async (service) => { await system.kill(service, 'SIGTERM') }))
  const traces = new Map(services.map((service) => [service, JSON.parse(readFileSync(join(directory, `${service}.trace.json`), 'utf8')) as Trace]))
  const points = new Map([...traces].map(([service, trace]) => [service, shuffled(pointsOf(trace), seed)]))
  const pointsInAll = [...points.values()].reduce((sum, { length }) => sum + length, 0)
  say(`${pointsInAll} points: ${[...points].map(([service, { length }]) => `${service} ${length}`).join(', ')}`)

  // A run of limited length takes up no point in its last moments; the walks under way are walked to their end.
  const signal = durationMs === undefined ? ended.signal : AbortSignal.any([ended.signal, AbortSignal.timeout(durationMs)])
  // The probe's bare setting stays in the environment of each process, so that one without a point is no different from one with.
  const wrecking = Promise.all([...points].map(async ([service, each]) => await wreck(system, service, each, { env: probe(service), diedFile: join(directory, `${service}.died`), signal, say })))
  let isOver = false
  const [wreckage] = await Promise.all([
    wrecking.finally(() => { isOver = true }),
    // Who does not get through in minutes never will: then there is no use in going on.
    ...Array.from({ length: walkers }, async (_, n) => { await walking(n + 1, () => isOver).finally(() => { if (problems.length > 0) ended.abort() }) }),
  ]) as [Wreckage[], ...unknown[]]

  await settled(system).catch((error: unknown) => { problems.push((error as Error).message) })
  const { servers, users, orphans } = await panelState(system)
  const expect = (isSo: boolean, words: string): void => { if (!isSo) problems.push(words) }
  const [made, requested, dead] = [await serversMade(system), await stored(system, 'CLAIMS', 'claims.*.requested'), await stored(system, 'DEAD_LETTERS')]
  expect(made === walks, `${walks} claims were accepted and ${made} servers made`)
  expect(requested === walks, `${walks} claims were accepted and ${requested} are in the ledger`)
  expect(servers.length === 0, `${servers.length} servers are left over`)
  expect(users.every(({ externalId }) => externalId === null), 'users are left over')
  expect(orphans.length === 0, `${orphans.length} containers are left over`)
  expect(dead === 0, `${dead} dead letters`)
  const sites = [...traces.values()].flatMap((trace) => trace.sites)
  const passed = new Set(sites.filter(({ run, stop }) => run + stop > 0).map(({ site }) => site))
  return { wreckage, points: pointsInAll, sites: { passed: passed.size, notPassed: [...new Set(sites.map(({ site }) => site))].filter((site) => !passed.has(site)).toSorted() }, walks, problems }
}
