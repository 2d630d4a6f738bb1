/**
 * PHP's processes: each request holds one from start to answer, and the rest queue in order. Wings calls the panel back
 * while POST /servers waits for Wings, so a client that fills the pool with creates starves the call-backs it waits for.
 */
export interface WorkerPool {
  /** Resolves with the function that gives the worker back. Rejects with the signal's reason if it aborts while queued. */
  acquire: (signal?: AbortSignal) => Promise<() => void>
  readonly busy: number
  readonly queued: number
  /** To be called when the size has grown. */
  wake: () => void
}

export function createWorkerPool (size: () => number): WorkerPool {
  const queue: Array<() => void> = []
  let busy = 0

  function wake (): void {
    while (busy < size() && queue.length > 0) {
      busy++
      queue.shift()!()
    }
  }

  function release (): () => void {
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      busy--
      wake()
    }
  }

  return {
    acquire (signal) {
      const { promise, resolve, reject } = Promise.withResolvers<() => void>()
      const start = () => {
        signal?.removeEventListener('abort', giveUp)
        resolve(release())
      }
      const giveUp = () => {
        const index = queue.indexOf(start)
        if (index >= 0) queue.splice(index, 1)
        reject(signal?.reason as Error)
      }
      if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
      signal?.addEventListener('abort', giveUp, { once: true })
      queue.push(start)
      wake()
      return promise
    },
    get busy () { return busy },
    get queued () { return queue.length },
    wake
  }
}
