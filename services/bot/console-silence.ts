// libsignal 6.0.0 prints whole sessions, private keys included, straight to the console (src/session_record.js, session_builder.js,
// session_cipher.js), and Baileys prints errors that hold stanzas. Nothing of ours uses the console, so nothing that is said there is let out.
import type { Log } from '../common/log.ts'

let isSilenced = false

/** Must be called before the first socket is made. Calling it again changes nothing. */
export function silenceConsole (log: Log): void {
  if (isSilenced) return
  isSilenced = true
  for (const [method, print] of Object.entries(globalThis.console)) {
    if (typeof print !== 'function') continue
    Object.assign(globalThis.console, { [method]: () => { log.debug({ method }, 'a library printed something that is not shown') } })
  }
}
