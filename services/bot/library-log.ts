// Baileys logs whole stanzas at debug and puts numbers into its warnings. Of what it says only the fixed words of warnings and errors are
// kept, and an error's code; every longer run of digits is cut out, whatever LOG_LEVEL is.
import type { Log } from '../common/log.ts'

/** The part of a pino logger that Baileys uses. */
export interface LibraryLog {
  level: string
  child (fields: Record<string, unknown>): LibraryLog
  trace (fields: unknown, words?: string): void
  debug (fields: unknown, words?: string): void
  info (fields: unknown, words?: string): void
  warn (fields: unknown, words?: string): void
  error (fields: unknown, words?: string): void
}

const wordsMax = 160

export function createLibraryLog (log: Log): LibraryLog {
  const kept = (level: 'debug' | 'warn') => (fields: unknown, words?: string) => {
    const said = typeof fields === 'string' ? fields : words ?? ''
    log[level]({ said: said.replace(/\d{5,}/g, '[digits]').slice(0, wordsMax), code: codeIn(fields) }, 'the WhatsApp library has something to say')
  }
  const dropped = (): void => {}
  // Its errors are mostly about single stanzas, and what matters of them reaches us as a closed connection or a refused send.
  const library: LibraryLog = { level: 'warn', child: () => library, trace: dropped, debug: dropped, info: dropped, warn: kept('debug'), error: kept('warn') }
  return library
}

function codeIn (fields: unknown): string | number | undefined {
  if (typeof fields !== 'object' || fields === null) return undefined
  const error = (fields as { err?: unknown, error?: unknown }).err ?? (fields as { error?: unknown }).error
  if (typeof error !== 'object' || error === null) return undefined
  const { output, name } = error as { output?: { statusCode?: number }, name?: unknown }
  return output?.statusCode ?? (typeof name === 'string' ? name : undefined)
}
