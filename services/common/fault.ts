/**
 * Something in the world is not as it should be. `transient`: the same attempt may succeed later. `permanent`: it will not.
 * Branch on `kind` and `code`, never on the message. The message is for people and never holds a number, a password or an answer's body.
 * Everything else that is thrown is a bug.
 */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly kind: 'transient' | 'permanent'
  /** Stable; RUNBOOK.md has an entry for each. */
  readonly code: string
  /** The world asked us to wait at least this long. */
  readonly retryAfterMs: number | undefined

  constructor (kind: 'transient' | 'permanent', code: string, message: string, options: { cause?: unknown, retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.code = code
    this.retryAfterMs = options.retryAfterMs
  }
}

export const transient = (code: string, message: string, options?: { cause?: unknown, retryAfterMs?: number }): Fault => new Fault('transient', code, message, options)
export const permanent = (code: string, message: string, options?: { cause?: unknown }): Fault => new Fault('permanent', code, message, options)

/** What a log line may say of an error: never its message, which may quote what was sent. */
export function codeOf (error: unknown): string {
  if (error instanceof Fault) return error.code
  return error instanceof Error ? `BUG:${error.name}` : 'BUG'
}
