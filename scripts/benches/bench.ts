// What a bench is, and what it hands back. A figure may have a floor: what the bare parts take for the same work, measured in the same run.

export interface Figure {
  /** What was measured, in a few words; the same in every repetition. */
  readonly what: string
  readonly value: number
  readonly unit: string
  readonly floor?: { readonly what: string, readonly value: number }
  readonly goal?: Goal
}

/** What the medians are held against: the figure itself, or its ratio to the floor. It is shown, and fails nothing. */
export interface Goal { readonly of: 'figure' | 'ratio', readonly is: 'at most' | 'at least', readonly bound: number }

export interface Bench {
  readonly name: string
  readonly summary: string
  /** Left out unless it is named: it takes many minutes. */
  readonly isSlow?: true
  /** Measures once. Throws where something was lost, doubled or refused: such a run measures nothing. */
  run (context: Context): Promise<readonly Figure[]>
}

export interface Context {
  /** Empty, for this repetition alone, and removed after it. */
  readonly directory: string
  readonly say: (line: string) => void
  /** So many of what a whole run takes `count` of; the least is 1. Less than all is for trying a bench out, and measures little. */
  readonly some: (count: number) => number
}

export const atMost = (bound: number, of: Goal['of'] = 'figure'): Goal => ({ of, is: 'at most', bound })
export const atLeast = (bound: number, of: Goal['of'] = 'figure'): Goal => ({ of, is: 'at least', bound })
