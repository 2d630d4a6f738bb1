// What to do when a connection to WhatsApp has ended, by the code Baileys gives (7.0.0-rc14, `lastDisconnect.error.output.statusCode`).
// "Reconnect unless logged out" is too coarse: going on after a ban or a conflict makes both worse.

export type AfterClose =
  | { readonly kind: 'reconnect', readonly delayMs: number }
  /** The device was unlinked: its credentials are worthless and a person has to link it again. */
  | { readonly kind: 'relink' }
  /** Going on would do harm; a person has to look. */
  | { readonly kind: 'stop', readonly code: string }

export interface Backoff { readonly delayMsFirst: number, readonly delayMsMax: number }

const STOPS: Readonly<Record<number, string>> = {
  402: 'WHATSAPP_TEMPORARILY_BANNED',
  403: 'WHATSAPP_FORBIDDEN',
  405: 'WHATSAPP_CLIENT_OUTDATED',
  406: 'WHATSAPP_BANNED',
  409: 'WHATSAPP_CLIENT_REFUSED',
  411: 'WHATSAPP_CLIENT_REFUSED',
  418: 'WHATSAPP_CLIENT_REFUSED',
  440: 'WHATSAPP_REPLACED',
}
const LOGGED_OUT = 401
const RESTART_REQUIRED = 515
/** Of those after which it goes on: lost or timed out, closed, a bad session, not available. */
const PASSING = [408, 428, 500, 503]

/** Every code that is known, for metrics; there may be others. `none`: the connection never said why. */
export const CLOSE_CODES: readonly string[] = ['none', ...[LOGGED_OUT, ...Object.keys(STOPS), ...PASSING, RESTART_REQUIRED].map(String)]

/** `failures` counts the connections that ended in a row without having been open for a while; `random` is in [0, 1). */
export function afterClose (code: number | undefined, failures: number, backoff: Backoff, random: number): AfterClose {
  if (code === LOGGED_OUT) return { kind: 'relink' }
  const stop = code === undefined ? undefined : STOPS[code]
  if (stop !== undefined) return { kind: 'stop', code: stop }
  // After linking the server asks for a restart; asked again and again it is an ordinary failure.
  if (code === RESTART_REQUIRED && failures <= 1) return { kind: 'reconnect', delayMs: 0 }
  const ceiling = Math.min(backoff.delayMsFirst * 2 ** Math.min(Math.max(failures - 1, 0), 30), backoff.delayMsMax)
  return { kind: 'reconnect', delayMs: Math.round(ceiling * (0.5 + random / 2)) }
}
