// DELETIONS: the delayed deletions. A message on `deletions.pending.<job>` is a NATS schedule; when it falls due the server itself
// puts the same headers and body on `deletions.due.<job>`. A due message is only a wake-up call: it may come twice, or after a
// cancel that the server had acknowledged (measured on nats-server 2.15.1), so the ledger decides.
import { Type } from 'typebox'
import { PostponeReason } from '../codes.ts'
import { defineEvent } from '../define.ts'
import { ClaimId, DeleteJobId, MemberId, Timestamp } from '../ids.ts'

const job = { delete_job_id: DeleteJobId, claim_id: ClaimId, member_id: MemberId }
const reaper = { version: 1, authors: ['reaper'], stream: 'DELETIONS' } as const

/** Subject of the schedule whose firing says `deletionDue`. */
export const pendingSubject = (deleteJobId: string): string => `deletions.pending.${deleteJobId}`

export const deletionDue = defineEvent({
  ...reaper, name: 'deletion.due', subject: 'deletions.due.{delete_job_id}',
  summary: 'A delayed deletion should be looked at now',
  data: Type.Object({ ...job, due_at: Timestamp }),
})

export const deletionConfirmed = defineEvent({
  ...reaper, name: 'deletion.confirmed', subject: 'deletions.confirmed.{delete_job_id}',
  summary: 'The time has come and the member is absent from the live roster, or the ledger wants it gone all the same',
  data: Type.Object({
    ...job,
    due_at: Timestamp,
    /** When the roster that shows the absence was read from WhatsApp. */
    absent_at: Timestamp,
    /** The ledger says that it is to go whoever is in the group: nobody was looked for, and `absent_at` is when it was judged. */
    even_if_present: Type.Optional(Type.Literal(true)),
  }),
})

export const deletionRefuted = defineEvent({
  ...reaper, name: 'deletion.refuted', subject: 'deletions.refuted.{delete_job_id}',
  summary: 'The time has come but the member is in the group: the deletion must be cancelled',
  data: Type.Object({ ...job, present_at: Timestamp }),
})

export const deletionPostponed = defineEvent({
  ...reaper, name: 'deletion.postponed', subject: 'deletions.postponed.{delete_job_id}',
  summary: 'Nothing may be deleted now; the job is looked at again later',
  data: Type.Object({ ...job, due_at: Timestamp, until: Timestamp, reason: PostponeReason }),
})

export const deletionUnscheduled = defineEvent({
  ...reaper, name: 'deletion.unscheduled', subject: 'deletions.unscheduled.{delete_job_id}',
  summary: 'The ledger cancelled the deletion, and this message took its schedule away in the same write',
  data: Type.Object(job),
})
