import { createHmac } from 'node:crypto'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** The member's pseudonym: first 20 characters (100 bits) of base32(HMAC-SHA256(key, wa_jid)), RFC 4648 alphabet, lower case. */
export function memberIdOf (key: string, waJid: string): string {
  let [text, bits, length] = ['', 0, 0]
  for (const byte of createHmac('sha256', key).update(waJid).digest()) {
    // At most four bits are left over from the byte before.
    bits = (bits << 8 | byte) & 0xfff
    for (length += 8; length >= 5; length -= 5) text += ALPHABET[bits >> (length - 5) & 31]
    if (text.length >= 20) break
  }
  return text.slice(0, 20)
}
