/**
 * Whether a rejection that nobody waited for comes from one of the library's own handlers: for what the server sends it asks the server back there, and catches no
 * refusal (7.0.0-rc14, lib/Socket/groups.js, `CB:ib,,dirty`). What was to be done is left undone; connection and session are as they were.
 */
export function isLibraryFault (error: unknown): boolean {
  const stack = error instanceof Error ? error.stack ?? '' : ''
  return stack.includes('/@whiskeysockets/baileys/') && !stack.includes('/services/')
}
