// Medians and ranges over repetitions, and the table of them. Pure.
import type { Figure, Goal } from './bench.ts'

/** Nearest rank; `share` from 0 to 1. NaN of nothing. */
export const quantile = (values: readonly number[], share: number): number => values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)] ?? NaN

export function median (values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] ?? NaN : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}

export interface Spread { readonly median: number, readonly min: number, readonly max: number }
const spreadOf = (values: readonly number[]): Spread => ({ median: median(values), min: Math.min(...values), max: Math.max(...values) })

export interface Row {
  readonly what: string
  readonly unit: string
  readonly repetitions: number
  readonly figure: Spread
  readonly floor?: { readonly what: string, readonly spread: Spread }
  /** Of each repetition's figure to its own floor. */
  readonly ratio?: Spread
  readonly goal?: Goal & { readonly isReached: boolean }
}

/** One row for each `what`, in the order of their first coming. */
export function summarised (repetitions: ReadonlyArray<readonly Figure[]>): Row[] {
  const figures = Map.groupBy(repetitions.flat(), ({ what }) => what)
  return [...figures.values()].map((same): Row => {
    const [first] = same as [Figure]
    const figure = spreadOf(same.map(({ value }) => value))
    const floors = same.flatMap(({ floor }) => floor ? [floor.value] : [])
    const ratio = floors.length === 0 ? undefined : spreadOf(same.flatMap(({ value, floor }) => floor ? [value / floor.value] : []))
    const goal = first.goal
    const judged = goal && (goal.of === 'figure' ? figure.median : ratio?.median ?? NaN)
    return {
      what: first.what, unit: first.unit, repetitions: same.length, figure,
      ...(first.floor ? { floor: { what: first.floor.what, spread: spreadOf(floors) } } : {}),
      ...(ratio ? { ratio } : {}),
      ...(goal && judged !== undefined ? { goal: { ...goal, isReached: goal.is === 'at most' ? judged <= goal.bound : judged >= goal.bound } } : {}),
    }
  })
}

/** Three digits that say something, and no more. */
export function shown (value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  return value.toLocaleString('en-US', { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 2 })
}

const spread = ({ median: middle, min, max }: Spread): string => min === max ? shown(middle) : `${shown(middle)} (${shown(min)}–${shown(max)})`

export const TABLE_HEAD = '| what | measured | floor | ratio | must reach | does |\n|---|---|---|---|---|---|'

export function tableLine ({ what, unit, figure, floor, ratio, goal }: Row): string {
  const must = goal ? `${goal.is === 'at most' ? '≤' : '≥'} ${shown(goal.bound)} ${goal.of === 'ratio' ? '× floor' : unit}` : ''
  return `| ${[what, `${spread(figure)} ${unit}`, floor ? `${spread(floor.spread)} ${unit}: ${floor.what}` : '', ratio ? spread(ratio) : '', must, goal ? goal.isReached ? 'yes' : '**no**' : ''].join(' | ')} |`
}
