// Baileys 7.0.0-rc14 does not act on a wrong certificate signature (lib/Utils/crypto.js ignores what libsignal's verify returns), so the address
// is the only thing that says who is at the other end. Another address is therefore accepted only in a process whose bootstrap has also
// replaced the trusted root, which nothing in services/ does.
import { DEFAULT_CONNECTION_CONFIG, WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { permanent } from '../common/fault.ts'

export const WHATSAPP_ADDRESS = DEFAULT_CONNECTION_CONFIG.waWebSocketUrl as string

/** Root key of WhatsApp's certificate chain, as Baileys 7.0.0-rc14 ships it. */
const WHATSAPP_ROOT = '142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b'

/** Permanent Fault WHATSAPP_URL_REFUSED. */
export function checkAddress (url: string, trustedRoot: Uint8Array = WA_CERT_DETAILS.PUBLIC_KEY): void {
  if (url === WHATSAPP_ADDRESS) return
  if (Buffer.from(trustedRoot).toString('hex') !== WHATSAPP_ROOT) return
  throw permanent('WHATSAPP_URL_REFUSED', "WHATSAPP_URL is not WhatsApp's own address, and this process still trusts WhatsApp's root. Remove WHATSAPP_URL, or for staging start with --import ./deploy/staging/whatsapp/trust-root.ts")
}
