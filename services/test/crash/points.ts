// Which moments there are to die in, and in which order they are tried. Pure.
import { createHash } from 'node:crypto'

/** Until a process is ready; from then on, which is where it works; and from when it is told to stop. */
export type Stage = 'start' | 'run' | 'stop'
/** Before what is awaited is begun, or as soon as it has come to its end, well or not. */
export type Moment = 'before' | 'after'
/** How often one process passed an await, before and after it was told to stop. */
export interface Passes { readonly run: number, readonly stop: number }
/** The passes at every await, by its site. */
export type Trace = Readonly<Record<string, Passes>>

export interface CrashPoint {
  readonly stage: Stage
  readonly moment: Moment
  readonly site: string
  /** The n-th pass since the start of the process, or since it was told to stop. */
  readonly count: number
  /** 0 for the first that is tried at this await in this stage. */
  readonly round: number
}

/** Passes of one await differ by what is in hand: the first is tried, and a later one. */
const PASSES = [1, 3]
/** What was done and is not yet known to be done is the more dangerous state. */
const MOMENTS = ['after', 'before'] as const

/**
 * Every moment that an undisturbed process came by. What stands in the trace of a process that has just become ready and had nothing to do yet is
 * its start; what it passes beyond that is its work.
 */
export function pointsOf (ready: Trace, whole: Trace): CrashPoint[] {
  return Object.entries(whole).flatMap(([site, { run, stop }]) => {
    const start = ready[site]?.run ?? 0
    const counts = {
      start: PASSES.filter((count) => count <= start),
      run: PASSES.map((count) => start + count).filter((count) => count <= run),
      stop: stop > 0 ? [1] : [],
    }
    return (['start', 'run', 'stop'] as const).flatMap((stage) =>
      counts[stage].flatMap((count) => MOMENTS.map((moment) => ({ stage, moment, site, count }))).map((point, round) => ({ ...point, round })))
  })
}

export const nameOf = ({ stage, moment, site, count }: CrashPoint): string => `${stage} ${moment} ${site} ${count}`

/** The awaits that these points are at, of one stage. */
export const sitesOf = (points: readonly CrashPoint[], stage: Stage): ReadonlySet<string> => new Set(points.filter((point) => point.stage === stage).map(({ site }) => site))

/** The same order for the same seed. Each await is met once in a stage before any is met again, so that a short run meets as many as it can. */
export function shuffled (points: readonly CrashPoint[], seed: string): CrashPoint[] {
  return points.map((point) => ({ point, rank: createHash('sha256').update(`${seed} ${nameOf(point)}`).digest('hex') }))
    .toSorted((one, other) => one.point.round - other.point.round || one.rank.localeCompare(other.rank)).map(({ point }) => point)
}
