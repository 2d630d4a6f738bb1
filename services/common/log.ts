import { pino, destination, type Logger } from 'pino'

export type Log = Logger

/**
 * Lines are chosen fields and one fixed sentence; this is the net under that rule. Whatever is named like a secret is cut out, and what looks
 * like a phone-number JID, a LID, a panel key or a sealed text is masked anywhere in the line.
 */
const REDACTED_FIELDS = ['password', 'wa_jid', 'waJid', 'wa_number_e164', 'sealed_password', 'authorization', 'secret', 'token', 'key', 'jid', 'phone', 'headers', 'body', 'creds']
const SECRETS = [
  [/\+?\d{6,17}(:\d+)?@(s\.whatsapp\.net|c\.us|lid)/g, '[number]'],
  [/pt(la|lc)_[A-Za-z0-9]{8,}/g, '[panel-key]'],
  [/eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_.-]{20,}/g, '[sealed]'],
  [/\+\d{8,16}\b/g, '[number]'],
] as const

export function masked (line: string): string {
  return SECRETS.reduce((text, [pattern, mask]) => text.replace(pattern, mask), line)
}

/** JSON lines. `write` is where they go: standard output in production, an array in the test of this net. */
export function createLog (service: string, level = 'info', write?: (line: string) => void): Log {
  const stdout = write ? undefined : destination({ dest: 1, sync: false, minLength: 0 })
  const out = write ?? ((line: string) => stdout?.write(line))
  return pino({
    name: service,
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]), censor: '[redacted]' },
    serializers: { err: serializedError },
  }, { write: (line: string) => { out(masked(line)) } })
}

/** An error's stack says where; its message may quote what was sent, so only a Fault's, which is ours, is kept. */
function serializedError (error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error }
  const { name, stack } = error
  const code = (error as { code?: unknown }).code
  const cause: unknown = error.cause === undefined ? undefined : serializedError(error.cause)
  return { type: name, code, message: name === 'Fault' ? error.message : undefined, stack: stack?.split('\n').filter((line) => line.startsWith('    at ')).slice(0, 12), cause }
}
