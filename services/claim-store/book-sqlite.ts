// The book as claims.sqlite: what changed, in one transaction. Where the file is not the one that was written last (this process has just become
// the keeper, somebody else wrote or restored it), all of it.
import { Worker } from 'node:worker_threads'
import { asideOf, unlinkIfThere } from './book-file.ts'
import type { Content, Keeping } from './book-keeping.ts'
import type { Answer, Order } from './book-sqlite-thread.ts'

/** At once to the thread: few enough that handing them over holds nobody up. */
const ROWS_AT_ONCE = 500

/** `isDamaged`: the file is no book any more, and has to make way for a new one. */
export class BookWriteError extends Error {
  readonly code: string
  readonly isDamaged: boolean

  constructor (code: string, isDamaged = false) {
    super('the thread of the book could not do it')
    this.code = code
    this.isDamaged = isDamaged
  }
}

export function createSqliteBook (place: string): Keeping {
  let thread: Worker | undefined
  let waiting: { resolve: (bytes: number | null) => void, reject: (error: Error) => void } | undefined

  function started (): Worker {
    // Without the flags of this process: what is loaded with it (a debugger, a probe) is not meant for the thread.
    const worker = new Worker(new URL('./book-sqlite-thread.ts', import.meta.url), { workerData: { place, aside: asideOf(place) }, execArgv: [] })
    worker.unref()
    worker.on('message', (answer: Answer) => {
      const { resolve, reject } = waiting ?? {}
      waiting = undefined
      worker.unref()
      if ('bytes' in answer) resolve?.(answer.bytes)
      else reject?.(new BookWriteError(answer.reason, answer.isDamaged))
    })
    worker.on('error', () => {})
    worker.on('exit', () => {
      if (thread === worker) thread = undefined
      waiting?.reject(new BookWriteError('BOOK_THREAD_ENDED'))
      waiting = undefined
    })
    return worker
  }

  /** One at a time: book.ts writes one after the other. */
  async function order (what: Order): Promise<number | null> {
    const worker = thread ??= started()
    return await new Promise((resolve, reject) => {
      waiting = { resolve, reject }
      // A process waits for what it has ordered, and for nothing else of the thread.
      worker.ref()
      worker.postMessage(what)
    })
  }

  async function whole ({ lines, head }: Content): Promise<number> {
    // What is noted meanwhile comes with the next one. Lines are shared and not copied.
    const rows = [...lines]
    await order({ do: 'begin' })
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) await order({ do: 'put', rows: rows.slice(at, at + ROWS_AT_ONCE) })
    return await order({ do: 'end', head }) ?? 0
  }

  async function close (): Promise<void> {
    if (!thread) return
    try {
      await order({ do: 'close' })
    } finally {
      await thread?.terminate()
    }
  }

  return {
    write: async (content) => {
      const { lines, changed, since, head } = content
      // So many changes are a whole book, which goes in pieces.
      if (since === undefined || changed.size > ROWS_AT_ONCE) return await whole(content)
      const put: Array<[string, string]> = []
      const remove: string[] = []
      for (const claimId of changed) {
        const line = lines.get(claimId)
        if (line === undefined) remove.push(claimId)
        else put.push([claimId, line])
      }
      return await order({ do: 'change', since, head, put, remove })
    },
    remove: async () => {
      await close()
      for (const path of [place, `${place}-wal`, `${place}-shm`, ...[asideOf(place)].flatMap((aside) => [aside, `${aside}-journal`, `${aside}-wal`, `${aside}-shm`])]) await unlinkIfThere(path)
    },
    close,
  }
}
