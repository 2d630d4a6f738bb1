import type { Head } from './sqlite-file.ts'

/** What is to be written. `lines` change: whoever writes all of them takes them before it first waits, as they were when `head` sealed them. */
export interface Content {
  readonly lines: ReadonlyMap<string, string>
  /** Claims in which it differs from the book that `since` seals. Where `since` is undefined all of it is to be written. */
  readonly changed: ReadonlySet<string>
  readonly since: string | undefined
  readonly head: Head
}

/** One kind of book. Every call is the only one at its time. */
export interface Keeping {
  /**
   * On the disk, whole or not at all, when this resolves with its size in bytes. Nothing is written where it resolves with null: the book there is not
   * the one that `since` seals, and wants all of it. Throws what the disk says.
   */
  write (content: Content): Promise<number | null>
  /** This book, and what it has left behind. */
  remove (): Promise<void>
  close (): Promise<void>
}
