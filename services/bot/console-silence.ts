// libsignal 6.0.0 prints whole sessions, private keys included, straight to the console (src/session_record.js, session_builder.js,
// session_cipher.js). Nothing of ours uses the console, so what looks like that is dropped before it can reach a log.

const SECRETIVE = [
  'Closing session', 'Opening session', 'Removing old closed session', 'Session already', 'Migrating session', 'V1 session storage', 'Session error',
  'Closing open session', 'Failed to decrypt message', 'Decrypted message with closed session', 'Unhandled bucket type',
]

let isSilenced = false

/** Must be called before the first socket is made. Calling it again changes nothing. */
export function silenceSignal (): void {
  if (isSilenced) return
  isSilenced = true
  for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir'] as const) {
    const print = globalThis.console[level].bind(globalThis.console) as (...said: unknown[]) => void
    globalThis.console[level] = (...said: unknown[]) => { if (!isSecretive(said)) print(...said) }
  }
}

function isSecretive (said: readonly unknown[]): boolean {
  return said.some((part) => typeof part === 'string'
    ? SECRETIVE.some((prefix) => part.startsWith(prefix))
    : typeof part === 'object' && part !== null && ['SessionEntry', 'SessionRecord'].includes(part.constructor?.name ?? ''))
}
