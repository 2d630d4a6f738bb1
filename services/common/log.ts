import { pino, destination, type Logger } from 'pino'
import { maskedLine } from './mask.ts'
import { traceIds } from './tracing.ts'

export type Log = Logger

/** JSON lines of chosen fields and one fixed sentence; mask.ts is the net under that rule. `write` is where they go: standard output in production, an array in the test of this net. */
export function createLog (service: string, level = 'info', write?: (line: string) => void): Log {
  const stdout = write ? undefined : destination({ dest: 1, sync: false, minLength: 0 })
  const out = write ?? ((line: string) => stdout?.write(line))
  return pino({
    name: service,
    level,
    base: { service },
    mixin: traceIds,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: serializedError },
  }, { write: (line: string) => { out(maskedLine(line)) } })
}

/** An error's stack says where; its message may quote what was sent, so only a Fault's, which is ours, is kept. */
function serializedError (error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error }
  const { name, stack } = error
  const code = (error as { code?: unknown }).code
  const cause: unknown = error.cause === undefined ? undefined : serializedError(error.cause)
  return { type: name, code, message: name === 'Fault' ? error.message : undefined, stack: stack?.split('\n').filter((line) => line.startsWith('    at ')).slice(0, 12), cause }
}
