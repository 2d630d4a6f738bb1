// The linked device as Baileys keeps it (credentials and Signal keys), in NATS key-value. Losing any of it means that a person has to link
// the bot again, so every write is awaited, and credentials are written in the order in which they changed.
import { createHmac, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { BufferJSON, initAuthCreds, proto, type AuthenticationCreds, type AuthenticationState, type SignalDataSet, type SignalDataTypeMap } from '@whiskeysockets/baileys'
import pLimit from 'p-limit'
import type { Bucket } from '../common/bucket.ts'
import { Fault, transient } from '../common/fault.ts'
import type { Cipher } from './session-cipher.ts'

export interface Session {
  readonly auth: AuthenticationState
  /** True once a phone has accepted this device. `creds.registered` does not tell: it stays false after a QR code (7.0.0-rc14). */
  isLinked (): boolean
  /** Writes the credentials as they are now, after all earlier writes. */
  saveCreds (): Promise<void>
  /** Forgets everything: the next connection is that of a new device. */
  clear (): Promise<void>
  /** Resolves when every write begun so far has ended. */
  settled (): Promise<void>
}

const CREDS = 'creds'
/**
 * Signal's ids hold numbers, and the name of an entry is no secret, so entries go by a keyed hash of them. The key is an entry of its own, sealed like
 * all: it stays when the key that seals is changed, and goes with the session.
 */
const NAMES = 'names'
const NAMES_KEY_BYTES = 32
const WRITES_AT_ONCE_MAX = 64
const RETRY_DELAY_MS = 250
const CACHED_MAX = 20_000

/** Of one holder of the lease; `isHeld` is asked before each write, so that a holder who lost the lease cannot spoil what its successor wrote. */
export async function openSession (bucket: Bucket, cipher: Cipher, isHeld: () => boolean): Promise<Session> {
  const limit = pLimit(WRITES_AT_ONCE_MAX)
  /** What the bucket holds, as text; null for "nothing there". Only the holder writes, so the cache is never behind. */
  const cache = new Map<string, string | null>()
  const underWay = new Set<Promise<void>>()

  async function read (name: string): Promise<string | null> {
    const cached = cache.get(name)
    if (cached !== undefined) return cached
    const entry = await limit(() => bucket.get(name))
    const text = entry ? cipher.open(name, entry.value) : null
    // Something may have been written while this was under way; that is newer.
    return cache.get(name) ?? remember(name, text)
  }

  /** Tried for as long as the lease is held: Baileys has already used the key it wants stored, so giving up early would spoil a session. */
  function write (name: string, text: string | null): Promise<void> {
    const work = limit(async () => {
      while (true) {
        if (!isHeld()) throw transient('LEASE_LOST', 'another bot may hold the session now')
        try {
          if (text === null) await bucket.delete(name)
          else await bucket.put(name, cipher.seal(name, text))
          remember(name, text)
          return
        } catch (error) {
          if (!(error instanceof Fault && error.kind === 'transient')) throw error
          await delay(RETRY_DELAY_MS)
        }
      }
    })
    const tracked = work.catch(() => {}).finally(() => underWay.delete(tracked))
    underWay.add(tracked)
    return work
  }

  function remember (name: string, text: string | null): string | null {
    cache.delete(name)
    cache.set(name, text)
    if (cache.size > CACHED_MAX) cache.delete(cache.keys().next().value as string)
    return text
  }

  const namesKey = await read(NAMES) ?? randomBytes(NAMES_KEY_BYTES).toString('base64url')
  // Every time, so that it is sealed with the key that seals now.
  await write(NAMES, namesKey)
  const nameOf = (type: string, id: string): string => `${type}.${createHmac('sha256', namesKey).update(id).digest('base64url')}`

  const stored = await read(CREDS)
  const creds = stored === null ? initAuthCreds() : JSON.parse(stored, BufferJSON.reviver) as AuthenticationCreds
  let writing: Promise<void> = Promise.resolve()

  return {
    auth: {
      creds,
      keys: {
        get: async <T extends keyof SignalDataTypeMap>(type: T, ids: string[]) => {
          const found: { [id: string]: SignalDataTypeMap[T] } = {}
          await Promise.all(ids.map(async (id) => {
            const text = await read(nameOf(type, id))
            if (text !== null) found[id] = revived(type, text)
          }))
          return found
        },
        set: async (data) => {
          await Promise.all(entriesOf(data).map(async ({ type, id, value }) => {
            await write(nameOf(type, id), value === null || value === undefined ? null : JSON.stringify(value, BufferJSON.replacer))
          }))
        },
      },
    },
    isLinked: () => creds.me?.id !== undefined && creds.account !== undefined,
    saveCreds: () => {
      // Serialised when its turn comes: a later write then holds everything, and nothing older can overtake it.
      const next = writing.catch(() => {}).then(async () => { await write(CREDS, JSON.stringify(creds, BufferJSON.replacer)) })
      writing = next
      return next
    },
    clear: async () => {
      await writing.catch(() => {})
      const names = await bucket.keys()
      await write(CREDS, null)
      await Promise.all(names.filter((name) => name !== CREDS).map(async (name) => { await write(name, null) }))
      cache.clear()
    },
    settled: async () => {
      await writing.catch(() => {})
      await Promise.all(underWay)
    },
  }
}

export interface Resealed { readonly resealed: number, readonly unreadable: number }

/**
 * Seals anew whatever an earlier key sealed, before a term begins: once a term has begun with the new key, the earlier one may be dropped.
 * What no key opens stays as it is; whether it is needed shows when it is read.
 */
export async function resealSession (bucket: Bucket, cipher: Cipher, isHeld: () => boolean): Promise<Resealed> {
  const limit = pLimit(WRITES_AT_ONCE_MAX)
  let [resealed, unreadable] = [0, 0]
  await Promise.all((await bucket.keys()).map(async (name) => await limit(async () => {
    const entry = await bucket.get(name)
    if (!entry || !cipher.isOld(entry.value)) return
    let text: string
    try {
      text = cipher.open(name, entry.value)
    } catch {
      unreadable++
      return
    }
    if (!isHeld()) throw transient('LEASE_LOST', 'another bot may hold the session now')
    // Only its holder writes the session, so a lost race is our own earlier write.
    if (await bucket.update(name, cipher.seal(name, text), entry.revision) !== null) resealed++
  })))
  return { resealed, unreadable }
}

const entriesOf = (data: SignalDataSet) =>
  Object.entries(data).flatMap(([type, values]) => Object.entries(values ?? {}).map(([id, value]) => ({ type, id, value: value as unknown })))

function revived<T extends keyof SignalDataTypeMap> (type: T, text: string): SignalDataTypeMap[T] {
  const value: unknown = JSON.parse(text, BufferJSON.reviver)
  return (type === 'app-state-sync-key' ? proto.Message.AppStateSyncKeyData.fromObject(value as object) : value) as SignalDataTypeMap[T]
}
