// Which moments there are to die in, and in which order they are tried. Pure.
import { createHash } from 'node:crypto'

/** From the start of a process until it is told to stop; and from then on. */
export type Stage = 'run' | 'stop'
/** Before what is awaited is begun, or as soon as it has come to its end, well or not. */
export type Moment = 'before' | 'after'
/** How often each await was passed by one process. */
export interface Trace { readonly sites: ReadonlyArray<{ readonly site: string, readonly run: number, readonly stop: number }> }

export interface CrashPoint {
  readonly stage: Stage
  readonly moment: Moment
  readonly site: string
  /** The n-th pass since the start of the process, or since it was told to stop. */
  readonly count: number
}

/** Passes of one await differ by what is in hand: the first is tried, and a later one. */
const COUNTS = [1, 3]
const MOMENTS = ['before', 'after'] as const

/** Every moment that an undisturbed process came by. */
export function pointsOf ({ sites }: Trace): CrashPoint[] {
  return sites.flatMap(({ site, run, stop }) => MOMENTS.flatMap((moment) => [
    ...COUNTS.filter((count) => count <= run).map((count) => ({ stage: 'run', moment, site, count } as const)),
    ...(stop > 0 ? [{ stage: 'stop', moment, site, count: 1 } as const] : []),
  ]))
}

export const nameOf = ({ stage, moment, site, count }: CrashPoint): string => `${stage} ${moment} ${site} ${count}`

/** The same order for the same seed. First passes first, so that a short run meets as many awaits as it can. */
export function shuffled (points: readonly CrashPoint[], seed: string): CrashPoint[] {
  const rank = (point: CrashPoint): string => createHash('sha256').update(`${seed} ${nameOf(point)}`).digest('hex')
  return points.map((point) => ({ point, rank: rank(point) })).toSorted((one, other) => Number(one.point.count > 1) - Number(other.point.count > 1) || one.rank.localeCompare(other.rank)).map(({ point }) => point)
}
