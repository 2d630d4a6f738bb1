// Work that is done now and then, and never twice at the same time: a time that comes while it is still under way passes by.

export interface Rhythm {
  /** Resolves when what was under way has ended. */
  stop (): Promise<void>
}

/** `work` never rejects: it says itself what went wrong. Its signal fires when it is to end. */
export function every (everyMs: number, work: (signal: AbortSignal) => Promise<void>, { atOnce = false } = {}): Rhythm {
  const stopping = new AbortController()
  let working: Promise<void> | undefined
  const start = (): void => { working ??= work(stopping.signal).finally(() => { working = undefined }) }
  if (atOnce) start()
  const timer = setInterval(start, everyMs)
  timer.unref()
  return {
    stop: async () => {
      clearInterval(timer)
      stopping.abort()
      await working
    },
  }
}
