// What stands in a backup: manifest.json, the book, and for each stream its snapshot with what the server said of it.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { Type, type Static } from 'typebox'
import { Timestamp } from '../../contracts/ids.ts'

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Count = Type.Integer({ minimum: 0 })

export const Manifest = Type.Object({
  format: Type.Literal(1),
  created_at: Timestamp,
  nats_version: Type.String(),
  streams: Type.Array(Type.Object({
    name: Type.String({ pattern: '^[A-Za-z_]{1,64}$' }),
    messages: Count,
    first_sequence: Count,
    last_sequence: Count,
    /** Of every message as content.ts reads it, not of a file. */
    content_sha256: Sha256,
    consumers: Type.Array(Type.String()),
  }), { maxItems: 100 }),
  /** Null where nobody has claimed yet, so that there is no book. */
  book: Type.Union([Type.Object({ sequence: Count, claims: Count }), Type.Null()]),
  files: Type.Array(Type.Object({ path: Type.String({ pattern: '^[A-Za-z_]{1,64}(\\.[a-z]{1,16}){1,2}$' }), bytes: Count, sha256: Sha256 }), { maxItems: 300 }),
})
export type Manifest = Static<typeof Manifest>

export const MANIFEST = 'manifest.json'
export const BOOK = 'claims.json'
export const snapshotOf = (stream: string): string => `${stream}.snapshot`
export const descriptionOf = (stream: string): string => `${stream}.json`

export async function sha256Of (path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
