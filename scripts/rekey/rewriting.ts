// What a ledger's event is under another key: the same event, by the same id, at the same time, about the same member by another name. Pure.
import type { MsgHdrs } from '@nats-io/transport-node'
import { attributesOf, decodeEvent, MAC_HEADER } from '../../services/common/envelope.ts'
import { memberIdOf } from '../../services/common/member-id.ts'
import type { Mac } from '../../services/claim-store/mac.ts'
import { LEDGER_EVENTS } from '../../services/claim-store/record.ts'

/** Keys of the pseudonyms, and the signature of the ledger. */
export interface Keys { readonly old: string, readonly next: string, readonly mac: Mac }
export interface Member { readonly oldId: string, readonly nextId: string, readonly waJid: string }
export interface StoredEvent { readonly subject: string, readonly header: MsgHdrs, readonly data: Uint8Array }

/** `foreign`: under neither key. `none`: no decision of the ledger, which passes it over too; or the word that a former member was erased, who has no number there. */
export type Standing = { readonly under: 'old' | 'next', readonly member: Member } | { readonly under: 'foreign' } | { readonly under: 'none' }

export function standingOf ({ subject, header, data }: StoredEvent, keys: Keys): Standing {
  if (!keys.mac.isOurs({ subject, header, data })) return { under: 'none' }
  let event
  try {
    event = decodeEvent(LEDGER_EVENTS, { subject, headers: header, data })?.event.data as { member_id: string, wa_jid?: string } | undefined
  } catch {
    return { under: 'none' }
  }
  // Of a type that is not known here: a newer version wrote it, and must re-key it.
  if (!event) return { under: 'foreign' }
  if (event.wa_jid === undefined) return { under: 'none' }
  const member = { oldId: memberIdOf(keys.old, event.wa_jid), nextId: memberIdOf(keys.next, event.wa_jid), waJid: event.wa_jid }
  return event.member_id === member.oldId ? { under: 'old', member } : event.member_id === member.nextId ? { under: 'next', member } : { under: 'foreign' }
}

/** Signed anew. The login name in an event stays, whatever it ends in: the account on the panel keeps it. */
export function rewritten ({ subject: oldSubject, header, data }: StoredEvent, { oldId, nextId }: Member, { mac }: Keys): { subject: string, headers: Array<[string, string]>, body: string } {
  const event = JSON.parse(new TextDecoder().decode(data)) as { member_id: string }
  const renamed = (text: string): string => text.replaceAll(oldId, nextId)
  // The id of the event that led here may hold the member's. What speaks to the server was for the first publish alone.
  const headers = header.keys().filter((name) => !/^nats-/i.test(name) && name !== MAC_HEADER).flatMap((name) => header.values(name).map((value): [string, string] => [name, renamed(value)]))
  const [subject, body] = [renamed(oldSubject), JSON.stringify({ ...event, member_id: nextId })]
  const { id, type, time } = attributesOf(header)
  headers.push([MAC_HEADER, mac.sign({ subject, id: renamed(id), type, time: time.toISOString(), body })])
  return { subject, headers, body }
}
