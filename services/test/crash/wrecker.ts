// Lets one service of a running system die again and again, each time at a point where it has not died before.
import { readFileSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Service, System } from '../../../deploy/staging/system.ts'
import { nameOf, type CrashPoint, type Stage } from './points.ts'

export interface Wreckage {
  readonly service: Service
  /** Where it died. */
  readonly died: readonly string[]
  /** Where it did not come by, though it had the time. */
  readonly missed: readonly string[]
  /** Ends that were not by our hand. */
  readonly odd: readonly string[]
}

/**
 * So many points are laid out for one life. With more, a message would meet one on its way again and again, until it has used up its tries;
 * with one alone, a life would be spent on waiting for what seldom happens. Doubled when a life meets none.
 */
const AT_ONCE = 4
const AT_ONCE_MAX = 64
/** A life of this length has seen what there is to see; so many of them, and a point is given up. */
const LIFE_MS = 20_000
const LIVES_MAX = 6
/** Every so many lives one is told to stop, as long as there are points on that way. */
const STOPS_EVERY = 4

/** Goes on until every point was died at or given up, or `signal` fires; then the service runs undisturbed. `env`: the probe's. */
export async function wreck (system: System, service: Service, points: readonly CrashPoint[], options: { env: Record<string, string>, diedFile: string, signal: AbortSignal, say: (line: string) => void }): Promise<Wreckage> {
  const { env, diedFile, signal, say } = options
  const left: Record<Stage, string[]> = { run: namesOf(points, 'run'), stop: namesOf(points, 'stop') }
  const lives = new Map<string, number>()
  const [died, missed, odd]: [string[], string[], string[]] = [[], [], []]
  let atOnce = AT_ONCE

  /** One life, with these points laid out; answers the one at which it ended. */
  async function live (stage: Stage, names: readonly string[]): Promise<string | undefined> {
    rmSync(diedFile, { force: true })
    const starting = system.start(service, { ...env, CRASH_AT: names.join(';'), CRASH_DIED: diedFile }).then(() => true, () => false)
    const ended = system.ended(service)
    if (stage === 'stop' && await starting) await system.kill(service, 'SIGTERM')
    const waiting = new AbortController()
    await Promise.race([ended, delay(LIFE_MS, undefined, { signal: AbortSignal.any([waiting.signal, signal]) }).catch(() => {})])
    waiting.abort()
    await system.kill(service)
    await starting
    const { code } = await ended
    const point = readIfThere(diedFile)
    if (point === undefined && code !== null && !(stage === 'stop' && code === 0)) odd.push(`${service} ended with ${code}, and not at ${names.join(' or ')}`)
    return point
  }

  await system.kill(service)
  for (let life = 1; left.run.length + left.stop.length > 0 && !signal.aborted; life++) {
    const stage = left.run.length === 0 || (left.stop.length > 0 && life % STOPS_EVERY === 0) ? 'stop' : 'run'
    const names = left[stage].slice(0, stage === 'stop' ? AT_ONCE_MAX : atOnce)
    const point = await live(stage, names)
    if (signal.aborted && point === undefined) break
    if (stage === 'run') atOnce = point === undefined ? Math.min(atOnce * 2, AT_ONCE_MAX) : AT_ONCE
    const rest = names.filter((name) => name !== point)
    if (point !== undefined) {
      died.push(point)
      say(`${service} ended at ${point}`)
    } else {
      for (const name of rest) lives.set(name, (lives.get(name) ?? 0) + 1)
      missed.push(...rest.filter((name) => lives.get(name) === LIVES_MAX))
    }
    // Those that were not met stand behind the others.
    left[stage] = [...left[stage].slice(names.length), ...rest.filter((name) => (lives.get(name) ?? 0) < LIVES_MAX)]
  }
  await system.start(service)
  return { service, died, missed, odd }
}

const namesOf = (points: readonly CrashPoint[], stage: Stage): string[] => points.filter((point) => point.stage === stage).map(nameOf)

function readIfThere (path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
