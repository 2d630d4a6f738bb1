// The CLAIMS stream, rewritten in place: everything is copied aside, every event is appended under the new key behind the old ones, in their order,
// and then the old ones go. What has been done is read from the streams, so it goes on where it was, whenever it died.
import { AckPolicy, DiscardPolicy, RetentionPolicy, StorageType, type StoredMsg } from '@nats-io/jetstream'
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import { CONSUMERS } from '../../contracts/streams.ts'
import type { Bus } from '../../services/common/bus.ts'
import { memberIdOf } from '../../services/common/member-id.ts'
import { pageOf } from '../../services/common/page.ts'
import { rewritten, standingOf, type Keys, type Member } from './rewriting.ts'
import { RekeyRefused, type Step } from './step.ts'

type Raw = Bus['raw']

const STREAM = 'CLAIMS'
export const BACKUP = 'CLAIMS_BEFORE_REKEY'
const BACKUP_PREFIX = 'before-rekey.'
/** Sequence in CLAIMS of the event that this one is a copy of. */
const COPY_OF = 'Klaim-Copy-Of'
const BATCH = 500
const ACK_MS_MAX = 60_000

export interface Ledger {
  readonly old: number
  readonly next: number
  /** Messages that are no decisions: they are copied aside, and not carried over. */
  readonly none: number
  readonly members: ReadonlyMap<string, Member>
}

export async function* messagesOf ({ jsm }: Pick<Raw, 'jsm'>, stream: string, from = 1): AsyncGenerator<StoredMsg> {
  for (let [next, found] = [from, BATCH]; found === BATCH;) {
    const page = await pageOf(jsm, stream, { from: next, size: BATCH })
    yield * page
    found = page.length
    next = (page.at(-1)?.seq ?? 0) + 1
  }
}

/** Reads the whole ledger. Refuses one that is under neither key. */
export async function lookAt (raw: Raw, keys: Keys): Promise<Ledger> {
  const members = new Map<string, Member>()
  const counts = { old: 0, next: 0, none: 0 }
  for await (const message of messagesOf(raw, STREAM)) {
    const standing = standingOf(message, keys)
    if (standing.under === 'foreign') throw new RekeyRefused(`event ${message.seq} of CLAIMS is under another key than was given`)
    counts[standing.under]++
    if (standing.under !== 'none') members.set(standing.member.oldId, standing.member)
  }
  return { ...counts, members }
}

/** Without those that are the server's, each value as `change` has it. */
export function ownHeaders ({ header }: Pick<StoredMsg, 'header'>, change = (value: string): string => value): MsgHdrs {
  const own = headers()
  for (const name of header.keys()) if (!/^nats-/i.test(name)) for (const value of header.values(name)) own.append(name, change(value))
  return own
}

const copyOf = (message: StoredMsg | null): number => Number(message?.header.get(COPY_OF) || 0)
const newest = async ({ jsm }: Raw, stream: string): Promise<StoredMsg | null> => await jsm.streams.getMessage(stream, { last_by_subj: '>' })

/** Where the copy of the old ledger stands; made if missing. Refuses where one of an earlier re-keying still waits to be confirmed. */
async function ensureBackup ({ jsm }: Raw, keys: Keys): Promise<void> {
  const description = `The ledger before it was re-keyed (${memberIdOf(keys.next, BACKUP)})`
  for await (const name of jsm.streams.names()) {
    if (name !== BACKUP) continue
    const { config } = await jsm.streams.info(BACKUP)
    if (config.description !== description) throw new RekeyRefused(`${BACKUP} is of an earlier re-keying: confirm that one first`)
    return
  }
  await jsm.streams.add({
    name: BACKUP, subjects: [`${BACKUP_PREFIX}>`], description, retention: RetentionPolicy.Limits, storage: StorageType.File, discard: DiscardPolicy.New, allow_direct: true, max_bytes: -1,
  })
}

export async function backUp (raw: Raw, keys: Keys, step: Step): Promise<void> {
  await ensureBackup(raw, keys)
  await step('backup is there')
  const copied = copyOf(await newest(raw, BACKUP))
  for await (const message of messagesOf(raw, STREAM, copied + 1)) {
    if (standingOf(message, keys).under === 'next') continue
    const h = ownHeaders(message)
    h.set(COPY_OF, String(message.seq))
    await raw.js.publish(`${BACKUP_PREFIX}${message.subject}`, message.data, { headers: h, msgID: `copy:${message.seq}` })
    await step('an event is copied aside')
  }
}

/** Appends what the backup holds and the ledger does not have yet under the new key. */
export async function rewrite (raw: Raw, keys: Keys, step: Step): Promise<void> {
  const last = await newest(raw, STREAM)
  const done = last && standingOf(last, keys).under === 'next' ? copyOf(last) : 0
  let expected = last?.seq ?? 0
  for await (const copy of messagesOf(raw, BACKUP)) {
    const original = { subject: copy.subject.slice(BACKUP_PREFIX.length), header: copy.header, data: copy.data }
    const standing = standingOf(original, keys)
    if (copyOf(copy) <= done || standing.under !== 'old') continue
    const { subject, headers: pairs, body } = rewritten(original, standing.member, keys)
    const h = headers()
    for (const [name, value] of pairs) h.append(name, value)
    const { seq } = await raw.js.publish(subject, body, { headers: h, msgID: `rekeyed:${keysName(keys)}:${copyOf(copy)}`, expect: { lastSequence: expected } })
    expected = seq
    await step('an event is rewritten')
  }
}
const keysName = (keys: Keys): string => memberIdOf(keys.next, keys.old)

/** Every old decision has its new one. */
export async function verify (raw: Raw, keys: Keys): Promise<void> {
  let [wanted, found] = [0, 0]
  for await (const copy of messagesOf(raw, BACKUP)) if (standingOf({ subject: copy.subject.slice(BACKUP_PREFIX.length), header: copy.header, data: copy.data }, keys).under === 'old') wanted++
  for await (const message of messagesOf(raw, STREAM)) if (standingOf(message, keys).under === 'next') found++
  if (wanted !== found) throw new RekeyRefused(`${wanted} events were copied aside and ${found} are rewritten: nothing is removed; report this`)
}

/** Members as the backup knows them: the old events may be gone from the ledger already. */
export async function membersOf (raw: Raw, keys: Keys): Promise<Map<string, Member>> {
  const members = new Map<string, Member>()
  for await (const copy of messagesOf(raw, BACKUP)) {
    const standing = standingOf({ subject: copy.subject.slice(BACKUP_PREFIX.length), header: copy.header, data: copy.data }, keys)
    if (standing.under === 'old') members.set(standing.member.oldId, standing.member)
  }
  return members
}

/** Nobody is to act on the rewritten events: what they tell was acted on under their old names. */
export async function passOver ({ js, jsm }: Raw, step: Step): Promise<void> {
  for (const consumer of CONSUMERS.filter(({ stream }) => stream === STREAM)) await bringPast({ js, jsm }, consumer, step)
}

/** Acknowledges everything that a consumer has before it, unread. */
export async function bringPast ({ js, jsm }: Pick<Raw, 'js' | 'jsm'>, { stream, name }: { readonly stream: string, readonly name: string }, step: Step): Promise<void> {
  const consumer = await js.consumers.get(stream, name)
  const deadline = Date.now() + ACK_MS_MAX
  for (;;) {
    const { num_pending, num_ack_pending, config } = await jsm.consumers.info(stream, name)
    if (num_pending === 0 && num_ack_pending === 0) return
    if (config.ack_policy !== AckPolicy.Explicit || Date.now() > deadline) throw new RekeyRefused(`${name} could not be brought past what stands on ${stream}; run this again`)
    // What an earlier run fetched and did not acknowledge comes again after a few seconds.
    for await (const message of await consumer.fetch({ max_messages: Math.min(BATCH, config.max_ack_pending ?? BATCH), expires: 2_000 })) await message.ackAck()
    await step(`events of ${stream} are passed over`)
  }
}

/** The last step: from here on the ledger is under the new key alone. */
export async function dropOld (raw: Raw, keys: Keys): Promise<void> {
  for await (const message of messagesOf(raw, STREAM)) {
    if (standingOf(message, keys).under !== 'next') continue
    await raw.jsm.streams.purge(STREAM, { seq: message.seq })
    return
  }
}
