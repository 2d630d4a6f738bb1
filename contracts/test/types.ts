// What the compiler must refuse. `tsc` reads this file and nobody runs it: an @ts-expect-error that is not needed any more is an error.
import { Type, type Static } from 'typebox'
import { answering, type Bus } from '../../services/common/bus.ts'
import { on } from '../../services/common/consume.ts'
import type { FailureCode } from '../codes.ts'
import { defineEvent, subjectOf } from '../define.ts'
import { memberLeft } from '../events/members.ts'
import { claimFailed } from '../events/claims.ts'
import type { ErrorBody } from '../http.ts'
import { createClaim, getBrake } from '../requests.ts'

const thing = { name: 'thing.done', version: 1, authors: ['bot'], stream: 'MEMBERS', summary: '', data: Type.Object({ thing_id: Type.String() }) } as const
defineEvent({ ...thing, subject: 'things.{thing_id}.done' })
// @ts-expect-error A placeholder names a field of the data.
defineEvent({ ...thing, subject: 'things.{other_id}.done' })
// @ts-expect-error Only a service may say something.
defineEvent({ ...thing, authors: ['somebody'], subject: 'things.{thing_id}.done' })

// @ts-expect-error A subject needs all of the data.
subjectOf(memberLeft, { member_id: 'abcdefghijklmnopqrst' })

declare const bus: Bus
declare const left: Static<typeof memberLeft.data>
void bus.publish(memberLeft, { key: 'x', data: left })
// @ts-expect-error Wrong data is not published.
void bus.publish(memberLeft, { key: 'x', data: { ...left, observed_by: 'rumour' } })
// @ts-expect-error Nothing is published without the key that makes it happen once.
void bus.publish(memberLeft, { data: left })

on(claimFailed, async ({ data }) => {
  data.code satisfies FailureCode
  // @ts-expect-error A handler sees the data of its own event.
  void data.deletion_scheduled_at
})

// @ts-expect-error A question has its shape.
void bus.request(createClaim, { claim_id: 'x' })
// @ts-expect-error And so has the answer.
answering(getBrake, async () => ({ ok: true, tripped: 'yes' }))
void bus.request(createClaim, {} as Static<typeof createClaim.question>).then((answer) => {
  // @ts-expect-error A refusal is told apart from an answer before it is read.
  void answer.rejection
  if (!answer.ok) answer.rejection satisfies 'ALREADY_CLAIMED' | 'LEAVING' | 'CLAIMS_CLOSED'
})

// @ts-expect-error An error has one of the codes.
const _error: ErrorBody = { error: { code: 'SOMETHING_ELSE', message: '' } }
