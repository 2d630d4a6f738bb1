// What NATS and the panel still know of the claims in a book, beside the ledger that is lost.
import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream'
import { memberJoined, memberLeft } from '../../contracts/events/members.ts'
import { messageOutbound } from '../../contracts/events/messages.ts'
import type { Language } from '../../contracts/ids.ts'
import type { BookEntry } from '../../contracts/requests.ts'
import type { EventData } from '../../services/common/consume.ts'
import { decodeEvent } from '../../services/common/envelope.ts'
import { permanent } from '../../services/common/fault.ts'
import { memberIdOf } from '../../services/common/member-id.ts'
import type { Pterodactyl } from '../../services/provisioner/pterodactyl.ts'
import { messagesOf } from '../rekey/ledger.ts'
import type { FoundServer, Heard } from './plan.ts'

const STREAM_NOT_FOUND = 10059
const JOB = /([0-9a-f-]{36})-d([1-9][0-9]{0,5})/

export interface Around {
  /** By member, oldest first. */
  readonly heard: ReadonlyMap<string, readonly Heard[]>
  /** By claim: in which language its member was last spoken to. */
  readonly languages: ReadonlyMap<string, Language>
  /** By claim: the highest number of a departure. */
  readonly departures: ReadonlyMap<string, number>
}

/** Permanent Fault MEMBER_ID_KEY_OTHER where members were known under another key. */
export async function lookAround (jsm: JetStreamManager, memberIdKey: string): Promise<Around> {
  const heard = new Map<string, Heard[]>()
  const languages = new Map<string, Language>()
  const departures = new Map<string, number>()
  const count = (text: string): void => {
    const [, claimId = '', number = '0'] = JOB.exec(text) ?? []
    if (claimId !== '') departures.set(claimId, Math.max(departures.get(claimId) ?? 0, Number(number)))
  }
  for await (const { seq, time, subject, header, data } of standing(jsm, 'MEMBERS')) {
    const event = decoded([memberJoined, memberLeft], { subject, headers: header, data })
    if (!event) continue
    const { member_id: memberId, wa_jid: waJid, occurred_at: at } = event.data as EventData<typeof memberLeft>
    if (memberIdOf(memberIdKey, waJid) !== memberId) throw permanent('MEMBER_ID_KEY_OTHER', 'MEMBERS was written under another MEMBER_ID_KEY')
    heard.set(memberId, [...heard.get(memberId) ?? [], { sequence: seq, at: Date.parse(at), hasLeft: event.type === memberLeft.type, storedAt: time.getTime() }])
  }
  for await (const { subject, header, data } of standing(jsm, 'MESSAGES')) {
    count(subject)
    const event = decoded([messageOutbound], { subject, headers: header, data })
    if (!event) continue
    const { claim_id: claimId, language } = event.data as EventData<typeof messageOutbound>
    languages.set(claimId, language)
  }
  for await (const { subject } of standing(jsm, 'DELETIONS')) count(subject)
  return { heard, languages, departures }
}

/** Nothing where the stream is lost, too. */
async function* standing (jsm: JetStreamManager, stream: string): ReturnType<typeof messagesOf> {
  try {
    await jsm.streams.info(stream)
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return
    throw error
  }
  yield* messagesOf({ jsm }, stream)
}

/** What is no event of these tells nothing. */
function decoded (...[definitions, message]: Parameters<typeof decodeEvent>): { readonly type: string, readonly data: unknown } | undefined {
  try {
    return decodeEvent(definitions, message)?.event
  } catch {
    return undefined
  }
}

/** The claim's server, by the claim's id, or by its number where somebody dropped the id; null where there is none. */
export async function serverOn (panel: Pterodactyl, { claim_id: claimId, server_id: serverId, user_id: userId }: BookEntry, signal: AbortSignal): Promise<FoundServer | null> {
  const named = await panel.serverOfClaim(claimId, 'poll', signal)
  const numbered = named || serverId === null ? null : await panel.server(serverId, 'poll', signal)
  const found = named ?? (numbered?.externalId === null && numbered.userId === userId ? numbered : null)
  return found && { id: found.id, userId: found.userId, allocationId: found.allocation?.id, isInstalled: found.status === null }
}
