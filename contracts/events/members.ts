// MEMBERS: somebody came or went. The bot says it from the difference of two rosters, the gateway from a signed webhook.
// These are hints for the ledger: the roster is asked again before anything is deleted.
import { Type } from 'typebox'
import { defineEvent } from '../define.ts'
import { GroupId, MemberId, Timestamp, WaJid } from '../ids.ts'

const movement = {
  member_id: MemberId,
  wa_jid: WaJid,
  group_id: GroupId,
  /** When it happened, as far as the observer knows. */
  occurred_at: Timestamp,
  observed_by: Type.Union([Type.Literal('roster'), Type.Literal('webhook')]),
}

export const memberJoined = defineEvent({
  name: 'member.joined', version: 1, authors: ['bot', 'gateway'], stream: 'MEMBERS', subject: 'members.{member_id}.joined',
  summary: 'A person is in the group who was not there before',
  data: Type.Object(movement),
})

export const memberLeft = defineEvent({
  name: 'member.left', version: 1, authors: ['bot', 'gateway'], stream: 'MEMBERS', subject: 'members.{member_id}.left',
  summary: 'A person is no longer in the group',
  data: Type.Object(movement),
})
