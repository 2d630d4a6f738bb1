import { createHash } from 'node:crypto'
import type { ClaimProgress } from '../../contracts/http.ts'
import type { Language } from '../../contracts/ids.ts'
import { getClaim, type ClaimView } from '../../contracts/requests.ts'
import type { Bus } from '../common/bus.ts'
import { newsOf } from '../common/claim-news.ts'
import type { Messages } from '../common/phrases.ts'
import { Refusal } from './refusal.ts'

/** Seconds after which looking again is worth it, while a claim moves. */
export const LOOK_AGAIN_S = 3

/** Throws a Refusal NOT_FOUND, or a transient Fault where the claim store is away. */
export async function findClaim (bus: Pick<Bus, 'request'>, claimId: string): Promise<ClaimView> {
  const answer = await bus.request(getClaim, { claim_id: claimId })
  if (!answer.ok) throw new Refusal('NOT_FOUND')
  return answer.claim
}

/** What anyone who holds the claim's id may see: nothing that tells whose it is. */
export function progressOf (claim: ClaimView, messages: Messages, language: Language, now: Date): ClaimProgress {
  const { claim_id, status, step, failure_code, template, deletion_scheduled_at, created_at, updated_at } = claim
  return {
    claim_id, status,
    ...(status === 'creating' && step !== undefined ? { step } : {}),
    message: newsOf(messages, language, claim, now),
    ...(failure_code === undefined ? {} : { failure_code }),
    ...(template === undefined ? {} : { template }),
    ...(deletion_scheduled_at === null ? {} : { deletion_scheduled_at }),
    created_at, updated_at,
  }
}

export const etagOf = (progress: ClaimProgress): string => `"${createHash('sha256').update(JSON.stringify(progress)).digest('base64url').slice(0, 22)}"`

/** RFC 9110 If-None-Match: a list of tags, compared weakly, or `*`. */
export function isUnchanged (ifNoneMatch: string | undefined, etag: string): boolean {
  return (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, '')).some((tag) => tag === etag || tag === '*')
}
