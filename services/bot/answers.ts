// What somebody waits for while a connection lasts.

export interface Answers {
  /** What was asked for. Rejects where it does, where it takes longer than `msMax`, and where the connection has gone. */
  of <Result>(asked: Promise<Result>): Promise<Result>
  /** The connection has gone: nobody waits any more. */
  end (): void
}

/**
 * A promise of the connection's end that each answer is raced with would keep them all: what waits for it stays with it, and each holds the answer that came
 * instead. With a group of 5,000 that was a megabyte for each reading.
 */
export function createAnswers (msMax: number): Answers {
  const waiting = new Set<(error: Error) => void>()
  let isOver = false
  return {
    of: async (asked) => {
      const { promise: given, reject: giveUp } = Promise.withResolvers<never>()
      const timer = setTimeout(giveUp, msMax, new Error('timeout'))
      waiting.add(giveUp)
      if (isOver) giveUp(new Error('closed'))
      try {
        return await Promise.race([asked, given])
      } finally {
        clearTimeout(timer)
        waiting.delete(giveUp)
      }
    },
    end: () => {
      isOver = true
      for (const giveUp of waiting) giveUp(new Error('closed'))
    },
  }
}
