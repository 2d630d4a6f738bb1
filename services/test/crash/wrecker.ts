// Lets one service of a running system die again and again, each time at a point where it has not died before.
import { readFileSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Service, System } from '../../../deploy/staging/system.ts'
import { nameOf, type CrashPoint, type Stage } from './points.ts'

export interface Wreckage {
  readonly service: Service
  /** Where it could have died. */
  readonly points: readonly CrashPoint[]
  /** Where it died. */
  readonly died: readonly CrashPoint[]
  /** Where it did not come by, though it had the time. */
  readonly missed: readonly CrashPoint[]
  /** Ends that were not by our hand. */
  readonly odd: readonly string[]
}

/**
 * So many points are laid out for one life, and it has so long from when it is ready. With more, a message would meet one on its way again and
 * again, until it has used up its tries; with fewer, a life would be spent on waiting for what seldom happens. A life that meets none is followed
 * by one with twice as many and twice as long.
 */
const AT_ONCE = 24
const AT_ONCE_MAX = 96
const LIFE_MS = 3_000
const LIFE_MS_MAX = 20_000
/** So many lives that met nothing, though a point was laid out, and it is given up. */
const LIVES_MAX = 8
/** So many lives in a row, and then it lives undisturbed while others have their turn: what needs several services would else never get done. */
const LIVES_PER_TURN = 6
/** What is killed at its start or at its end did no work, so that such lives are few as long as there is work to be killed at. */
const STAGES: readonly Stage[] = ['run', 'run', 'run', 'stop', 'run', 'run', 'run', 'run', 'start', 'run']

/** Goes on until every point was died at or given up, or `signal` fires; then the service runs undisturbed. `env`: of each life; `turn` lets some services die while the others live. */
export async function wreck (system: System, service: Service, points: readonly CrashPoint[], options: { env: Record<string, string>, diedFile: string, turn: (work: () => Promise<void>) => Promise<void>, signal: AbortSignal, say: (line: string) => void }): Promise<Wreckage> {
  const { env, diedFile, turn, signal, say } = options
  const left = Object.groupBy(points, ({ stage }) => stage)
  /** In how many lives a point was laid out, and in how many of those that met none at all. */
  const [tries, vain] = [new Map<CrashPoint, number>(), new Map<CrashPoint, number>()]
  const [died, missed, odd]: [CrashPoint[], CrashPoint[], string[]] = [[], [], []]
  /** Lives of work in a row that met none of their points. */
  let inVain = 0

  /** One life, with these points laid out; answers the one at which it ended. */
  async function live (stage: Stage, laidOut: readonly CrashPoint[], lifeMs: number): Promise<CrashPoint | undefined> {
    rmSync(diedFile, { force: true })
    const starting = system.start(service, { ...env, CRASH_AT: laidOut.map(nameOf).join(';'), CRASH_DIED: diedFile }).then(() => true, () => false)
    const ended = system.ended(service)
    const isReady = await starting
    if (isReady && stage === 'stop') await system.kill(service, 'SIGTERM')
    if (isReady && stage === 'run') {
      const waiting = new AbortController()
      await Promise.race([ended, delay(lifeMs, undefined, { signal: AbortSignal.any([waiting.signal, signal]) }).catch(() => {})])
      waiting.abort()
    }
    await system.kill(service)
    const { code } = await ended
    const name = readIfThere(diedFile)
    if (name === undefined && code !== null && !(stage === 'stop' && code === 0)) odd.push(`${service} ended with ${code}, and not at ${laidOut.map(nameOf).join(' or ')}`)
    return laidOut.find((point) => nameOf(point) === name)
  }

  async function next (life: number): Promise<void> {
    const wanted = STAGES[life % STAGES.length] as Stage
    const stage = [wanted, ...STAGES].find((each) => (left[each] ?? []).length > 0) as Stage
    // Rounds one after the other, and within one those first that had the fewest chances.
    const queue = (left[stage] ?? []).toSorted((one, other) => one.round - other.round || timesOf(tries, one) - timesOf(tries, other))
    const laidOut = queue.slice(0, stage === 'run' ? Math.min(AT_ONCE * 2 ** inVain, AT_ONCE_MAX) : AT_ONCE_MAX)
    const point = await live(stage, laidOut, Math.min(LIFE_MS * 2 ** inVain, LIFE_MS_MAX))
    if (signal.aborted && point === undefined) return
    if (stage === 'run') inVain = point === undefined ? inVain + 1 : 0
    for (const each of laidOut) tries.set(each, timesOf(tries, each) + 1)
    if (point !== undefined) {
      died.push(point)
      say(`${service} ended at ${nameOf(point)}`)
    } else {
      for (const each of laidOut) vain.set(each, timesOf(vain, each) + 1)
    }
    const givenUp = laidOut.filter((each) => timesOf(vain, each) === LIVES_MAX)
    missed.push(...givenUp)
    left[stage] = queue.filter((each) => each !== point && !givenUp.includes(each))
  }
  const isDone = (): boolean => signal.aborted || Object.values(left).every((queue) => queue.length === 0)
  for (let life = 0; !isDone();) {
    await turn(async () => {
      if (isDone()) return
      await system.kill(service)
      for (const last = life + LIVES_PER_TURN; life < last && !isDone(); life++) await next(life)
      await system.start(service, env)
    })
  }
  return { service, points, died, missed, odd }
}

const timesOf = (counted: ReadonlyMap<CrashPoint, number>, point: CrashPoint): number => counted.get(point) ?? 0

function readIfThere (path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
