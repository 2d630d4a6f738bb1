// MESSAGES: what to tell a member, and whether it arrived.
import { Type, type Static } from 'typebox'
import { UndeliverableCode } from '../codes.ts'
import { defineEvent } from '../define.ts'
import { ClaimId, Language, MemberId, MessageId, Sealed, Timestamp, WaJid } from '../ids.ts'

export const MessageKind = Type.Union([
  Type.Literal('login'), Type.Literal('failed'), Type.Literal('leave_warning'), Type.Literal('deletion_cancelled'), Type.Literal('deleted'),
])
export type MessageKind = Static<typeof MessageKind>

const about = { message_id: MessageId, claim_id: ClaimId, member_id: MemberId, kind: MessageKind }

export const messageOutbound = defineEvent({
  name: 'message.outbound', version: 1, authors: ['notifier'], stream: 'MESSAGES', subject: 'messages.outbound.{message_id}',
  summary: 'A member is to be told something',
  data: Type.Object({
    ...about,
    wa_jid: WaJid,
    language: Language,
    /** Sent in this order, each as a chat message of its own. `{password}` in a part is filled by the bot as it sends. */
    parts: Type.Array(Type.String({ minLength: 1, maxLength: 4000 }), { minItems: 1, maxItems: 5 }),
    sealed_password: Type.Optional(Sealed),
    /** Of a login: when its claim was accepted. */
    requested_at: Type.Optional(Timestamp),
    /** After this the message is no longer worth sending. */
    expires_at: Type.Optional(Timestamp),
  }),
})

export const messageDelivered = defineEvent({
  name: 'message.delivered', version: 1, authors: ['bot'], stream: 'MESSAGES', subject: 'messages.delivered.{message_id}',
  summary: "WhatsApp's server accepted every part",
  data: Type.Object({ ...about }),
})

export const messageUndeliverable = defineEvent({
  name: 'message.undeliverable', version: 1, authors: ['bot'], stream: 'MESSAGES', subject: 'messages.undeliverable.{message_id}',
  summary: 'WhatsApp refused the message, and it is not tried again by itself',
  data: Type.Object({ ...about, code: UndeliverableCode }),
})
