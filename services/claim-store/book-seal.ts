// Is a book what claim-store wrote? Whoever edits it by hand, and a disk that turns a bit, leave valid entries behind; the seal no longer fits them.
// It guards against mistakes and not against somebody who means it: what is decided comes from the stream, whose events are signed.
import { hash } from 'node:crypto'

const BYTES = 32

/** The hashes of all entries, put together so that one more or one less costs the same whatever the size of the book. */
export class Entries {
  readonly #sum = Buffer.alloc(BYTES)

  constructor (lines: Iterable<string> = []) {
    for (const line of lines) this.toggle(line)
  }

  /** Puts an entry in, or takes it out again. */
  toggle (line: string): void {
    const its = hash('sha256', line, 'buffer')
    for (let at = 0; at < BYTES; at++) this.#sum[at] = (this.#sum[at] ?? 0) ^ (its[at] ?? 0)
  }

  seal ({ sequence, written_at: writtenAt }: { sequence: number, written_at?: string }, count: number): string {
    return hash('sha256', `${sequence} ${writtenAt} ${count} ${this.#sum.toString('hex')}`)
  }
}
