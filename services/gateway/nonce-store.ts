// Which nonces are used up, for every gateway and over restarts: a bucket in NATS whose entries outlive the window of the signature.
//
// A nonce goes through two states. `pending` with a digest of its body is written before the event is published, `stored` after it.
// A process or NATS may die in between; then the same body under the same nonce may try again, and the id of the event keeps it from being
// stored twice. Another body under that nonce is refused at once, and any body once it is `stored`. Of copies at the same time one moves it
// to `stored`; the others are told that it is used, which is true: the event is there.
import type { Bucket } from '../common/bucket.ts'

export interface NonceInUse { readonly nonce: string, readonly revision: number }

export interface NonceStore {
  /** Null: used up, or in use for another body. */
  begin (nonce: string, digest: string): Promise<NonceInUse | null>
  /** Call when the event is stored. False: a copy of the request was first. */
  finish (inUse: NonceInUse): Promise<boolean>
}

const STORED = 'stored'
const pending = (digest: string): string => `pending ${digest}`

/** Calls throw a transient Fault NATS_UNAVAILABLE. */
export function createNonceStore (bucket: Pick<Bucket, 'create' | 'get' | 'update'>): NonceStore {
  return {
    begin: async (nonce, digest) => {
      const created = await bucket.create(nonce, pending(digest))
      if (created !== null) return { nonce, revision: created }
      const entry = await bucket.get(nonce)
      return entry?.text() === pending(digest) ? { nonce, revision: entry.revision } : null
    },
    finish: async ({ nonce, revision }) => await bucket.update(nonce, STORED, revision) !== null,
  }
}
