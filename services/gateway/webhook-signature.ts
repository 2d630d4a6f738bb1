// Who may tell us of joins and leaves: whoever holds the secret, now. Pure.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { WEBHOOK_WINDOW_S } from '../../contracts/http.ts'

/** Hex of HMAC-SHA256 over the timestamp's text, a dot, and the body's bytes. */
export function signatureOf (secret: string, timestamp: string, body: Uint8Array): string {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')
}

/** The signature is looked at before the time: who cannot sign learns nothing about our clock. */
export function verify (options: { secrets: readonly string[], timestamp: unknown, signature: unknown, body: Uint8Array, now: Date }): 'valid' | 'wrong_signature' | 'wrong_time' {
  const { secrets, timestamp, signature, body, now } = options
  if (typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp)) return 'wrong_signature'
  if (typeof signature !== 'string' || !/^[0-9a-fA-F]{64}$/.test(signature)) return 'wrong_signature'
  const given = Buffer.from(signature, 'hex')
  // Every secret is tried, also after one fitted, so that the time taken does not tell which.
  const fitting = secrets.filter((secret) => timingSafeEqual(given, Buffer.from(signatureOf(secret, timestamp, body), 'hex')))
  if (fitting.length === 0) return 'wrong_signature'
  return Math.abs(now.getTime() - Number(timestamp) * 1_000) <= WEBHOOK_WINDOW_S * 1_000 ? 'valid' : 'wrong_time'
}
