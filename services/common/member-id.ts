import { createHmac } from 'node:crypto'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** The member's pseudonym: first 20 characters (100 bits) of base32(HMAC-SHA256(key, wa_jid)), RFC 4648 alphabet, lower case. */
export function memberIdOf (key: string, waJid: string): string {
  const digest = createHmac('sha256', key).update(waJid).digest()
  let bits = 0n
  for (const byte of digest.subarray(0, 13)) bits = (bits << 8n) | BigInt(byte)
  bits >>= 4n // 104 bits read, 100 used
  let text = ''
  for (let shift = 95n; shift >= 0n; shift -= 5n) text += ALPHABET[Number((bits >> shift) & 31n)]
  return text
}
