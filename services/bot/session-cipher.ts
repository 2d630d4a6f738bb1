// The linked device's secrets are encrypted before they leave the process: whoever reads the store, a backup or the wire reads nothing.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { permanent } from '../common/fault.ts'

export interface Cipher {
  /** `name` is bound to the text: a value moved to another name cannot be read there. */
  seal (name: string, text: string): Uint8Array
  /** Permanent Fault SESSION_UNREADABLE. */
  open (name: string, sealed: Uint8Array): string
  /** Sealed with another key than the one that seals now. */
  isOld (sealed: Uint8Array): boolean
}

const VERSION = 1
const ID_BYTES = 4
const IV_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = 1 + ID_BYTES + IV_BYTES + TAG_BYTES

/**
 * AES-256-GCM. `secrets` are texts of at least 32 characters, separated by commas: the first seals, all open, so that a key is rotated by
 * giving both for a while. Layout of a sealed value: version (1), key id (4), IV (12), tag (16), ciphertext.
 */
export function createCipher (secrets: string): Cipher {
  const keys = secrets.split(',').map((secret) => secret.trim()).filter(Boolean).map((secret) => {
    const bytes = Buffer.from(hkdfSync('sha256', secret, '', 'klaim whatsapp session', 32 + ID_BYTES))
    return { key: bytes.subarray(0, 32), id: bytes.subarray(32) }
  })
  const [first] = keys
  if (!first) throw permanent('SESSION_UNREADABLE', 'there is no session key')
  const idOf = (sealed: Uint8Array): Buffer => Buffer.from(sealed).subarray(1, 1 + ID_BYTES)
  return {
    isOld: (sealed) => !idOf(sealed).equals(first.id),
    seal: (name, text) => {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv('aes-256-gcm', first.key, iv).setAAD(Buffer.from(name))
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.from([VERSION]), first.id, iv, cipher.getAuthTag(), body])
    },
    open: (name, sealed) => {
      const bytes = Buffer.from(sealed)
      const key = keys.find((candidate) => candidate.id.equals(idOf(bytes)))
      if (bytes.length < HEADER_BYTES || bytes[0] !== VERSION || !key) throw permanent('SESSION_UNREADABLE', 'the stored session was sealed with a key that is not configured')
      try {
        const iv = bytes.subarray(1 + ID_BYTES, 1 + ID_BYTES + IV_BYTES)
        const decipher = createDecipheriv('aes-256-gcm', key.key, iv).setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(HEADER_BYTES - TAG_BYTES, HEADER_BYTES))
        return Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES)), decipher.final()]).toString()
      } catch (error) {
        throw permanent('SESSION_UNREADABLE', 'the stored session was changed or belongs elsewhere', { cause: error })
      }
    },
  }
}
