// The written-down progress of claims, one key each. Every write names the revision it follows, so that of two workers on one claim
// (a message delivered again while its first handler still lives) one notices.
import type { Bucket } from '../common/bucket.ts'
import { validatorOf } from '../common/envelope.ts'
import { permanent, transient } from '../common/fault.ts'
import { Progress } from './provisioning.ts'

export interface Held { readonly progress: Progress, readonly revision: number }

export interface ProgressStore {
  load (claimId: string): Promise<Held | null>
  /** Resolves when it is written, and what it replaces is overwritten. Transient Fault CLAIM_ELSEWHERE where another worker wrote in between. */
  save (held: Held | null, progress: Progress): Promise<Held>
  /** The same, but what it replaces is overwritten by `overwrite`, which never rejects. */
  write (held: Held | null, progress: Progress): Promise<{ readonly held: Held, readonly overwrite: () => Promise<void> }>
  /** After another worker may have overwritten the claim's password on the panel: whoever goes on sets a new one first. */
  doubtPassword (claimId: string): Promise<void>
}

const ELSEWHERE_RETRY_MS = 3_000
const DOUBTS_MAX = 10

export function createProgressStore (bucket: Bucket): ProgressStore {
  const load = async (claimId: string): Promise<Held | null> => {
    const entry = await bucket.get(claimId)
    if (!entry) return null
    const progress: unknown = JSON.parse(entry.text())
    if (!validatorOf(Progress).Check(progress)) throw permanent('STORE_CORRUPT', 'the progress of a claim cannot be read')
    return { progress: progress as Progress, revision: entry.revision }
  }
  const put = async (held: Held | null, progress: Progress): Promise<{ revision: number, overwrite: () => Promise<void> } | null> => {
    const text = JSON.stringify(progress)
    if (held !== null) return await bucket.replace(progress.claim_id, text, held.revision)
    const revision = await bucket.create(progress.claim_id, text)
    return revision === null ? null : { revision, overwrite: async () => {} }
  }
  const write: ProgressStore['write'] = async (held, progress) => {
    const done = await put(held, progress)
    if (done === null) throw transient('CLAIM_ELSEWHERE', 'another worker has this claim', { retryAfterMs: ELSEWHERE_RETRY_MS })
    return { held: { progress, revision: done.revision }, overwrite: done.overwrite }
  }
  return {
    load,
    write,
    save: async (before, progress) => {
      const { held, overwrite } = await write(before, progress)
      await overwrite()
      return held
    },
    doubtPassword: async (claimId) => {
      for (let tries = 0; tries < DOUBTS_MAX; tries++) {
        const held = await load(claimId)
        if (held?.progress.state !== 'building') return
        const done = await put(held, { ...held.progress, is_password_sure: false })
        await done?.overwrite()
        if (done !== null) return
      }
    },
  }
}
