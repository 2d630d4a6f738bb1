// What members do and what goes wrong, and when, drawn from a seed. Pure: the same seed gives the same schedule.
import { createHash } from 'node:crypto'
import type { ProcessName, Service } from '../../../deploy/staging/system.ts'

export type Deed =
  /** `taps`: so many at the same moment, each as if it were the first. */
  | { readonly kind: 'claim', readonly taps: number }
  | { readonly kind: 'leave' | 'return' | 'status' | 'login' }

export type Fault =
  | { readonly kind: 'kill' | 'pause', readonly process: ProcessName | 'nats' }
  /** One of three nodes; the variant with a cluster only. */
  | { readonly kind: 'kill-leader' }
  | { readonly kind: 'clock', readonly process: Service, readonly stepMs: number }
  /** Knobs of a double, and what they are put back to. */
  | { readonly kind: 'panel' | 'wings' | 'whatsapp', readonly knobs: Readonly<Record<string, unknown>>, readonly after: Readonly<Record<string, unknown>> }
  | { readonly kind: 'close', readonly code: number }
  | { readonly kind: 'false-leaves', readonly count: number }
  | { readonly kind: 'dirty' }

export interface Schedule {
  readonly seed: string
  readonly deeds: ReadonlyArray<{ readonly atMs: number, readonly member: number } & Deed>
  readonly faults: ReadonlyArray<{ readonly atMs: number, readonly forMs: number } & Fault>
}

/** Those who do something. Nobody else in the group ever does, and one of them has a server: the bystander. */
export const ACTORS = [1, 2, 3, 4, 5] as const
export const BYSTANDER = 6
export const DURATION_MS = 16_000
export const GRACE_MS = 6_000
/** Frozen for longer than this nobody is; what was true when a process froze it may still say when it goes on. */
export const PAUSE_MS_MAX = 4_000

export interface Random { (): number, between: (least: number, most: number) => number, of: <One>(values: readonly One[]) => One }

/** Mulberry32, a small generator with 32 bits of state: enough to choose by. */
export function randomFrom (seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32LE(0)
  const next = (): number => {
    state = (state + 0x6D2B79F5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return Object.assign(next, {
    between: (least: number, most: number) => Math.floor(least + next() * (most - least + 1)),
    of: <One>(values: readonly One[]) => values[Math.floor(next() * values.length)] as One,
  })
}

const KILLED = ['claim-store', 'claim-store-2', 'provisioner', 'reaper', 'notifier', 'bot', 'gateway', 'nats', 'panel', 'whatsapp'] as const
const CLOCKS = ['claim-store', 'provisioner', 'reaper', 'notifier', 'bot', 'gateway'] as const
const FAULTS_MIN = 5
const FAULTS_MAX = 9

type Maker = (random: Random) => { readonly fault: Fault, readonly forMs: number }
const knobs = (kind: 'panel' | 'wings' | 'whatsapp', on: Record<string, unknown>, off: Record<string, unknown>, forMs = 0): ReturnType<Maker> => ({ fault: { kind, knobs: on, after: off }, forMs })

/** One line, one thing that has been seen to happen. */
const MAKERS: readonly Maker[] = [
  (random) => ({ fault: { kind: 'kill', process: random.of(KILLED) }, forMs: random.between(100, 2_500) }),
  (random) => ({ fault: { kind: 'kill', process: random.of(KILLED) }, forMs: random.between(100, 2_500) }),
  (random) => ({ fault: { kind: 'kill', process: random.of(KILLED) }, forMs: random.between(100, 2_500) }),
  (random) => ({ fault: { kind: 'pause', process: random.of(KILLED) }, forMs: random.between(300, PAUSE_MS_MAX) }),
  (random) => ({ fault: { kind: 'pause', process: random.of(KILLED) }, forMs: random.between(300, PAUSE_MS_MAX) }),
  (random) => ({ fault: { kind: 'clock', process: random.of(CLOCKS), stepMs: random.of([-8_000, -2_000, 2_000, 8_000]) }, forMs: random.between(1_000, 6_000) }),
  // An answer is lost after the panel has done what it was asked.
  (random) => knobs('panel', { dropAfterCommit: { [random.of(['userCreate', 'userUpdate', 'serverCreate', 'serverCreate', 'serverDelete', 'userDelete'])]: random.between(1, 2) } }, {}),
  (random) => knobs('panel', { latencyMs: random.between(300, 2_500) }, { latencyMs: 20 }, random.between(1_000, 5_000)),
  (random) => knobs('panel', { rateLimit: random.between(1, 6), rateWindowMs: 2_000 }, { rateLimit: 100_000, rateWindowMs: 60_000 }, random.between(1_000, 5_000)),
  (random) => knobs('panel', { answerNext: [{ route: '*', status: random.of([500, 502, 503, 504]), times: random.between(1, 6) }] }, { answerNext: [] }, 4_000),
  (random) => knobs('panel', { maintenance: true }, { maintenance: false }, random.between(500, 4_000)),
  (random) => knobs('wings', { mode: random.of([{ kind: 'refuse' }, { kind: 'hang', ms: 4_000 }, { kind: 'status', status: 500 }]) }, { mode: { kind: 'ok' } }, random.between(500, 4_000)),
  (random) => knobs('wings', { install: random.of(['never', 'failure']) }, { install: 'success' }, random.between(500, 3_000)),
  (random) => knobs('wings', { startsUp: false }, { startsUp: true }, random.between(500, 2_000)),
  // Not 401, 402, 403, 405, 406, 409, 411, 418 or 440, which only a person can mend.
  (random) => ({ fault: { kind: 'close', code: random.of([408, 428, 500, 503, 515]) }, forMs: 0 }),
  (random) => ({ fault: { kind: 'close', code: random.of([408, 428, 500, 503, 515]) }, forMs: 0 }),
  (random) => knobs('whatsapp', { cut: { when: random.of(['before-accepting', 'before-ack']), remaining: random.between(1, 3) } }, { cut: null }, 6_000),
  (random) => knobs('whatsapp', { acks: false }, { acks: true }, random.between(500, 3_000)),
  (random) => knobs('whatsapp', { refuseSends: { code: random.of([463, 429, 500, 503]), remaining: random.between(1, 3) } }, { refuseSends: null }, 6_000),
  (random) => knobs('whatsapp', { deaf: random.of(['queries', 'everything']) }, { deaf: 'no' }, random.between(500, 4_000)),
  (random) => knobs('whatsapp', { notifications: random.of(['hold', 'lose']) }, { notifications: 'send' }, random.between(1_000, 5_000)),
  // Empty, or suddenly much smaller. A few people fewer cannot be told from people who left.
  (random) => knobs('whatsapp', { rosterLimit: random.of([0, 0, 4, 20]) }, { rosterLimit: null }, random.between(500, 5_000)),
  (random) => knobs('whatsapp', { groupQueryError: { code: random.of([403, 404, 429, 500]), remaining: random.between(1, 3) } }, { groupQueryError: null }, 4_000),
  (random) => knobs('whatsapp', { usyncError: { code: random.of([429, 500]), remaining: random.between(1, 3) } }, { usyncError: null }, 4_000),
  (random) => knobs('whatsapp', { unreadable: random.between(1, 3) }, { unreadable: 0 }, 6_000),
  () => knobs('whatsapp', { loginError: { code: 503, remaining: 1 } }, { loginError: null }, 5_000),
  (random) => knobs('whatsapp', { answerDelayMs: random.between(200, 1_500) }, { answerDelayMs: 0 }, random.between(1_000, 4_000)),
  (random) => ({ fault: { kind: 'false-leaves', count: random.between(1, 40) }, forMs: 0 }),
  () => ({ fault: { kind: 'dirty' }, forMs: 0 }),
]

/** What a fault needs for itself: two of them at once would undo each other. */
const resourceOf = (fault: Fault): string => 'process' in fault ? fault.process : 'knobs' in fault ? `${fault.kind} ${Object.keys(fault.knobs).join()}` : fault.kind

export function scheduleOf (seed: string, { isCluster = false } = {}): Schedule {
  const random = randomFrom(seed)
  const deeds: Array<Schedule['deeds'][number]> = [{ atMs: random.between(0, 1_000), member: BYSTANDER, kind: 'claim', taps: 1 }]
  const faults: Array<Schedule['faults'][number]> = []
  for (const member of ACTORS) deeds.push(...wayOf(member, random))

  // The bot is away when a deletion falls due whose member has come back: what nobody knows must not count as absence.
  if (random() < 0.5) {
    const leaves = deeds.find(({ kind, atMs }) => kind === 'leave' && atMs < DURATION_MS - GRACE_MS)
    if (leaves) {
      const { member, atMs } = leaves
      const others = deeds.filter((deed) => deed.member !== member || deed.atMs <= atMs)
      deeds.splice(0, deeds.length, ...others, { atMs: atMs + 2_500, member, kind: 'return' })
      faults.push({ atMs: atMs + 1_500, forMs: GRACE_MS + 1_000, ...random.of([{ kind: 'kill', process: 'bot' }, { kind: 'whatsapp', knobs: { deaf: 'queries' }, after: { deaf: 'no' } }, { kind: 'whatsapp', knobs: { rosterLimit: 0 }, after: { rosterLimit: null } }] satisfies Fault[]) })
    }
  }
  if (isCluster) faults.push({ atMs: random.between(1_000, 8_000), forMs: random.between(500, 3_000), kind: 'kill-leader' }, { atMs: random.between(12_000, 13_000), forMs: random.between(500, 3_000), kind: 'kill-leader' })

  for (let wanted = random.between(FAULTS_MIN, FAULTS_MAX), tries = 0; wanted > 0 && tries < 100; tries++) {
    const { fault, forMs } = random.of(MAKERS)(random)
    const atMs = random.between(0, DURATION_MS - 1_000)
    const isTaken = faults.some((other) => resourceOf(other) === resourceOf(fault) && atMs <= other.atMs + other.forMs + 1_500 && other.atMs <= atMs + forMs + 1_500)
    // A cluster is not one process.
    if (isTaken || (isCluster && 'process' in fault && fault.process === 'nats')) continue
    faults.push({ atMs, forMs, ...fault })
    wanted--
  }
  const inOrder = (one: { atMs: number }, other: { atMs: number }): number => one.atMs - other.atMs
  return { seed, deeds: deeds.toSorted(inOrder), faults: faults.toSorted(inOrder) }
}

/** A claim, and then a few of the things that members do. */
function wayOf (member: number, random: Random): Array<Schedule['deeds'][number]> {
  const deeds: Array<Schedule['deeds'][number]> = []
  let isPresent = true
  let atMs = random.between(0, 4_000)
  deeds.push({ atMs, member, kind: 'claim', taps: random.of([1, 1, 2, 3]) })
  for (let count = random.between(1, 4); count > 0; count--) {
    atMs += random.between(1_000, 5_000)
    if (atMs > DURATION_MS) break
    const kind = random.of(['move', 'move', 'move', 'status', 'login', 'claim'] as const)
    if (kind === 'claim') deeds.push({ atMs, member, kind, taps: random.of([1, 2]) })
    else if (kind !== 'move') deeds.push({ atMs, member, kind })
    else {
      deeds.push({ atMs, member, kind: isPresent ? 'leave' : 'return' })
      isPresent = !isPresent
    }
  }
  return deeds
}

/** One line for each thing that happens, for whoever looks at a failing seed. */
export function told ({ seed, deeds, faults }: Schedule): string {
  const lines = [
    ...deeds.map(({ atMs, member, ...deed }) => ({ atMs, text: `member ${member} ${JSON.stringify(deed)}` })),
    ...faults.map(({ atMs, forMs, ...fault }) => ({ atMs, text: `for ${forMs} ms ${JSON.stringify(fault)}` })),
  ]
  return [`seed ${seed}`, ...lines.toSorted((one, other) => one.atMs - other.atMs).map(({ atMs, text }) => `  ${String(atMs).padStart(6)} ms  ${text}`)].join('\n')
}
