// Every key and secret of an installation: those in the directory of secrets, and those that WhatsApp's session has and had.
import { BufferJSON } from '@whiskeysockets/baileys'
import { sessionBucket } from '../../../contracts/streams.ts'
import { SECRETS } from '../../../deploy/secrets/catalogue.ts'
import { openDirectory } from '../../../deploy/secrets/directory.ts'
import { createCipher } from '../../bot/session-cipher.ts'
import { needlesOfBytes, needlesOfText, type Needle } from './needles.ts'

export function keysIn (path: string): Needle[] {
  const directory = openDirectory(path)
  return SECRETS.filter(({ variable, file }) => variable !== 'LOGIN_PUBLIC_KEY' && directory.has(file)).flatMap(({ variable, file }) => {
    const text = directory.text(file)
    const parts = variable === 'LOGIN_PRIVATE_KEYS' ? (JSON.parse(text) as { keys: Array<{ d: string }> }).keys.map(({ d }) => d) : text.split(',')
    return parts.flatMap((part) => [...needlesOfText('key', file, part), ...needlesOfBytes('key', file, Buffer.from(part, /^[0-9a-f]+$/.test(part) ? 'hex' : 'base64url'))])
  })
}

/** What is secret in Baileys' credentials and in libsignal's sessions and keys, by its name there. */
const SECRET_FIELDS = new Set(['private', 'privKey', 'rootKey', 'key', 'advSecretKey', 'keyData', 'token'])
const NAMES_KEY = 'names'

/** `entries`: all that was ever written into the bucket, by subject. Most keys live for one message only. */
export function keysOfSession (entries: Iterable<{ subject: string, data: Uint8Array }>, sessionKey: string): Needle[] {
  const cipher = createCipher(sessionKey)
  const keys = new Map<string, Needle[]>()
  const add = (name: string, value: unknown): void => {
    const bytes = value instanceof Uint8Array ? Buffer.from(value) : typeof value === 'string' ? Buffer.from(value, 'base64') : undefined
    if (bytes !== undefined && bytes.length >= 16) keys.set(bytes.toString('hex'), needlesOfBytes('key', `${name} of the WhatsApp session`, bytes))
  }
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return
    for (const [name, inner] of Object.entries(value)) {
      if (SECRET_FIELDS.has(name)) add(name, inner)
      walk(inner)
    }
  }
  const prefix = `$KV.${sessionBucket.name}.`
  for (const { subject, data } of entries) {
    if (!subject.startsWith(prefix) || data.length === 0) continue
    const name = subject.slice(prefix.length)
    const text = cipher.open(name, data)
    if (name === NAMES_KEY) add(name, text)
    else walk(JSON.parse(text, BufferJSON.reviver))
  }
  return [...keys.values()].flat()
}
