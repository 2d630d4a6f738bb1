// Of many, a few at once, in the order in which they came.
import pLimit from 'p-limit'
import { stopping } from './panel-budget.ts'

export interface Turn {
  /** Lets the next one in; more than once does no more than once. */
  end (): void
}

export interface Turns {
  /** Resolves when it is one's turn. Transient Fault STOPPING on abort. */
  take (signal: AbortSignal): Promise<Turn>
}

export function createTurns (atOnce: number): Turns {
  const limit = pLimit(atOnce)
  return {
    take: async (signal) => await new Promise((resolve, reject) => {
      void limit(async () => {
        if (signal.aborted) return reject(stopping())
        const { promise, resolve: end } = Promise.withResolvers<void>()
        resolve({ end })
        await promise
      })
    }),
  }
}
