import { JetStreamApiError, jetstreamManager } from '@nats-io/jetstream'
import { Kvm, type KV } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import pLimit from 'p-limit'
import type { BucketDefinition } from '../../contracts/streams.ts'
import { transient } from './fault.ts'
import { pageOf } from './page.ts'

export interface Entry { readonly value: Uint8Array, readonly revision: number, text: () => string }

/**
 * A NATS key-value bucket. Writes are compare-and-set: `create` and `update` answer the new revision, or null where somebody was first.
 * Keys are `[-/_=.a-zA-Z0-9]+`: whatever else must be encoded, and a number hashed with a key, because the name of an entry is no secret. Every call throws a transient Fault NATS_UNAVAILABLE where NATS does not answer.
 * Of a bucket that `overwrites`, an `update` overwrites on the disk what it replaces, as far as NATS can be reached: what it could not overwrite
 * stays in the history until `eraseMessages` looks for it.
 */
export interface Bucket {
  get (key: string): Promise<Entry | null>
  create (key: string, value: string | Uint8Array): Promise<number | null>
  update (key: string, value: string | Uint8Array, revision: number): Promise<number | null>
  /** As `update`, but what it replaces is overwritten by `overwrite`, whenever that is called, once. It never rejects. */
  replace (key: string, value: string | Uint8Array, revision: number): Promise<{ revision: number, overwrite: () => Promise<void> } | null>
  put (key: string, value: string | Uint8Array): Promise<number>
  /** Leaves a marker, so that `create` works again. */
  delete (key: string): Promise<void>
  /** Every key that has a value. For small buckets. */
  keys (filter?: string): Promise<string[]>
}

const WRONG_LAST_SEQUENCE = 10071
const KEYS_AT_ONCE = 256
/** While ninety were under way at once, what others read from the leader waited for them (200 ms; two at once: 60). */
const OVERWRITES_AT_ONCE = 2
/** Headers by which a deleted or purged key is told from one with a value. */
const OPERATION = 'KV-Operation'

export async function openBucket (connection: NatsConnection, definition: BucketDefinition): Promise<Bucket> {
  const jsm = await jetstreamManager(connection, { checkAPI: false })
  // Read from the leader, 0.1 ms later than from any node: those may not know yet what was just written (see page.ts).
  const kv: KV = await reaching(() => new Kvm(connection).open(definition.name, { bindOnly: true, allow_direct: false }))
  const overwriting = pLimit(OVERWRITES_AT_ONCE)
  const overwrite = async (revision: number): Promise<void> => {
    if (definition.overwrites) await overwriting(async () => await jsm.streams.deleteMessage(`KV_${definition.name}`, revision, true)).catch(() => {})
  }
  const conflictAsNull = async (write: () => Promise<number>): Promise<number | null> => {
    try {
      return await reaching(write)
    } catch (error) {
      if (isConflict((error as Error).cause)) return null
      throw error
    }
  }
  const replace: Bucket['replace'] = async (key, value, revision) => {
    const written = await conflictAsNull(() => kv.update(key, value, revision))
    return written === null ? null : { revision: written, overwrite: async () => { await overwrite(revision) } }
  }
  return {
    get: async (key) => {
      const entry = await reaching(() => kv.get(key))
      if (!entry || entry.operation !== 'PUT') return null
      return { value: entry.value, revision: entry.revision, text: () => entry.string() }
    },
    create: async (key, value) => await conflictAsNull(() => kv.create(key, value)),
    replace,
    update: async (key, value, revision) => {
      const replaced = await replace(key, value, revision)
      await replaced?.overwrite()
      return replaced?.revision ?? null
    },
    put: async (key, value) => await reaching(() => kv.put(key, value)),
    delete: async (key) => { await reaching(() => kv.delete(key)) },
    // The client's own `keys` makes a consumer, and who may make one may have its messages sent anywhere.
    keys: async (filter = '>') => {
      const prefix = `$KV.${definition.name}.`
      const found = new Set<string>()
      await reaching(async () => {
        for (let from = 1, got = KEYS_AT_ONCE; got === KEYS_AT_ONCE;) {
          const page = await pageOf(jsm, `KV_${definition.name}`, { from, filter: `${prefix}${filter}`, size: KEYS_AT_ONCE })
          for (const { subject, header } of page) {
            const key = subject.slice(prefix.length)
            if (header?.get(OPERATION)) found.delete(key)
            else found.add(key)
          }
          got = page.length
          from = (page.at(-1)?.seq ?? 0) + 1
        }
      })
      return [...found]
    },
  }
}

function isConflict (error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE
}

async function reaching<Result> (call: () => Promise<Result>): Promise<Result> {
  try {
    return await call()
  } catch (error) {
    throw transient('NATS_UNAVAILABLE', 'the key-value store did not take the call', { cause: error })
  }
}
