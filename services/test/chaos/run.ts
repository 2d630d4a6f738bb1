// One seeded run: a system of real processes, members who do things, faults that come and go; then quiet, and the question what came of it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nanos } from '@nats-io/transport-node'
import { CONSUMERS } from '../../../contracts/streams.ts'
import { SERVICES, startSystem, type ProcessName, type Service, type System } from '../../../deploy/staging/system.ts'
import { numberOf, withStreams } from '../crowd.ts'
import { actor, panelState, until } from '../journey.ts'
import { clockFileOf, createBreaker } from './faults.ts'
import { judge, whatIsUnsettled, type Evidence } from './invariants.ts'
import { createMembers, type Members } from './members.ts'
import { read } from './story.ts'
import { ACTORS, BYSTANDER, DURATION_MS, GRACE_MS, scheduleOf, told, type Schedule } from './schedule.ts'

export interface ChaosRun {
  readonly schedule: Schedule
  readonly problems: readonly string[]
  readonly accepted: number
  readonly deletions: number
  /** From the end of the last fault until nothing was left to do. */
  readonly settledMs: number
  /** Logs and stores; kept where there are problems. */
  readonly directory: string
}

const ROOT = resolve(import.meta.dirname, '../../..')
const CLOCK = resolve(import.meta.dirname, 'clock.ts')
const GROUP_SIZE = 60
const SETTLED_MS_MAX = 120_000
/** Many seeds may run at once. */
const READY_MS_MAX = 240_000
/** More than the 3.3 s between the signs of life of a handler; 10 s in production. */
const ACK_WAIT_MS = 4_500
const WATCH_EVERY_MS = 500

export async function runChaos (seed: string, { isCluster = false, say = () => {} }: { isCluster?: boolean, say?: (line: string) => void } = {}): Promise<ChaosRun> {
  const schedule = scheduleOf(seed, { isCluster })
  say(told(schedule))
  const directory = mkdtempSync(join(tmpdir(), `klaim-chaos-${seed.replaceAll(/\W/g, '_')}-`))
  const templates = join(directory, 'templates.json')
  writeFileSync(templates, JSON.stringify(hasty(JSON.parse(readFileSync(join(ROOT, 'config/templates.json'), 'utf8')) as Templates)))
  const clock = (service: Service): Record<string, string> => ({ NODE_OPTIONS: `--import=${CLOCK}`, CHAOS_CLOCK_FILE: clockFileOf(directory, service) })
  const starting = startSystem({
    directory, graceMs: GRACE_MS, members: GROUP_SIZE, doubled: ['claim-store'], natsReplicas: isCluster ? 3 : 1, readyMsMax: READY_MS_MAX,
    env: {
      panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100', PANEL_DOUBLE_RATE_LIMIT: '100000', PANEL_DOUBLE_GUZZLE_TIMEOUT_MS: '1500' },
      gateway: { RATE_LIMIT_IP_PER_MINUTE: '100000', RATE_LIMIT_JID_PER_MINUTE: '100000', TEMPLATES_FILE: templates, ...clock('gateway') },
      provisioner: {
        INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200', PROBE_TIMEOUT_MS: '1000', LOST_CREATE_WAIT_MS: '5000', PASSWORD_RESET_EVERY_MS: '500', PANEL_READ_TIMEOUT_MS: '3000', PANEL_WRITE_TIMEOUT_MS: '6000',
        PANEL_PATIENCE_MS: '3000', RATE_WINDOW_MS: '2000', NODE_BREAK_MS: '500', INVENTORY_FRESH_MS: '2000', TEMPLATES_FILE: templates, ...clock('provisioner'),
      },
      reaper: { SWEEP_EVERY_MS: '1000', POSTPONE_MS: '1000', BRAKE_DEPARTURES_MIN: '10000', ...clock('reaper') },
      bot: {
        SEND_GAP_MS: '20', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200', ROSTER_EVERY_MS: '1500', ROSTER_MAX_AGE_MS: '10000', ROSTER_CONFIRM_READS: '4', ROSTER_CONFIRM_MS: '60000', OPEN_TIMEOUT_MS: '10000', ANSWER_TIMEOUT_MS: '1500',
        DEAF_AFTER_MISSES: '2', RECONNECT_MIN_MS: '100', RECONNECT_MAX_MS: '1000', LOOKUPS_PER_MINUTE: '1000', ...clock('bot'),
      },
      'claim-store': clock('claim-store'), notifier: clock('notifier'),
      all: { LOG_LEVEL: 'info' },
    },
  })
  const system = await starting.catch((error: unknown) => error as Error)
  if (system instanceof Error) return { schedule, problems: [`the system did not start: ${system.message}`], accepted: 0, deletions: 0, settledMs: 0, directory }
  try {
    return await disturbed(system, schedule, directory, say)
  } finally {
    await system.close()
  }
}

async function disturbed (system: System, schedule: Schedule, directory: string, say: (line: string) => void): Promise<ChaosRun> {
  await withStreams(system, async (jsm) => { await Promise.all(CONSUMERS.map(async ({ stream, name }) => await jsm.consumers.update(stream, name, { ack_wait: nanos(ACK_WAIT_MS) }))) })
  const names: ProcessName[] = [...SERVICES, 'claim-store-2', 'panel', 'whatsapp']
  const breaker = createBreaker(system, directory, names)
  const members = createMembers(system)
  const problems = new Set<string>()

  let isOver = false
  const watching = (async () => {
    for (; !isOver; await delay(WATCH_EVERY_MS)) {
      const servers = await panelState(system).then((state) => state.servers, () => [])
      const claims = servers.map(({ externalId }) => externalId)
      if (new Set(claims).size < claims.length) problems.add('two servers of one claim stood on the panel')
    }
  })()

  const began = Date.now()
  const at = async (ms: number): Promise<void> => { await delay(Math.max(0, began + ms - Date.now())) }
  await Promise.all([
    ...schedule.deeds.map(async ({ atMs, member, ...deed }) => {
      await at(atMs)
      await members.carryOut(member, deed)
    }),
    ...schedule.faults.map(async ({ atMs, forMs, ...fault }) => {
      await at(atMs)
      const end = await breaker.begin(fault)
      await delay(forMs)
      await end()
    }),
    at(DURATION_MS),
  ])
  await breaker.mend()
  const mendedAt = Date.now()
  say(`${schedule.seed}: the faults are over after ${mendedAt - began} ms`)

  const evidenceNow = async (): Promise<Evidence> => ({ ...await gathered(system, members), fallen: breaker.fallen, directory, reaperClockMs })
  const reaperClockMs = Math.max(0, ...schedule.faults.map((fault) => fault.kind === 'clock' && fault.process === 'reaper' ? Math.abs(fault.stepMs) : 0))
  let unsettled = 'nothing was looked at'
  await until('the system settles', async () => {
    unsettled = await whatIsUnsettled(system, await evidenceNow())
    return unsettled === '' ? true : undefined
  }, { waitMs: SETTLED_MS_MAX, everyMs: 500 }).catch(() => { problems.add(`not settled ${SETTLED_MS_MAX / 1_000} s after the faults: ${unsettled}`) })
  const settledMs = Date.now() - mendedAt
  const evidence = await evidenceNow()
  for (const problem of await judge(system, evidence)) problems.add(problem)
  isOver = true
  breaker.stop()
  await watching
  if (problems.size === 0) rmSync(directory, { recursive: true, force: true })
  return { schedule, problems: [...problems], accepted: members.accepted.length, deletions: evidence.ledger.filter(({ type }) => type === 'claim.deleted').length, settledMs, directory }
}

async function gathered (system: System, members: Members): Promise<Omit<Evidence, 'fallen' | 'directory' | 'reaperClockMs'>> {
  const ledger = await read(system, 'CLAIMS')
  const [deletions, messages, dead] = [await read(system, 'DELETIONS'), await read(system, 'MESSAGES'), await read(system, 'DEAD_LETTERS')]
  const [movements, servers] = [await read(system, 'MEMBERS'), await read(system, 'SERVERS')]
  const panel = await panelState(system)
  const chats = new Map(await Promise.all([...ACTORS, BYSTANDER].map(async (member) => [member, await actor(system, numberOf(member)).chat()] as const)))
  return { ledger, deletions, messages, movements, servers, dead, panel, chats, members }
}

interface Templates { readonly templates: Record<string, { installDeadlineS: number, healthcheck: { deadlineS: number } }> }

/** Deadlines for people in a hurry: seconds stand for minutes. */
function hasty ({ templates }: Templates): Templates {
  return { templates: Object.fromEntries(Object.entries(templates).map(([name, template]) => [name, { ...template, installDeadlineS: 30, healthcheck: { ...template.healthcheck, deadlineS: 5 } }])) }
}
