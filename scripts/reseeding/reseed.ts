// The ledger made anew from the book, with every service stopped. The mark of the topology is away meanwhile, so services wait however this ends,
// and it may be run again: what stands on the stream has to be the beginning of what would be written, and it goes on behind it.
import { jetstream, JetStreamApiError, type JetStreamManager, type StoredMsg } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { LEDGER_STREAM } from '../../contracts/access.ts'
import { botMessages, claimStoreMembers, claimStoreServers, topologyBucket } from '../../contracts/streams.ts'
import { readBook, type BookFile } from '../../services/claim-store/book-file.ts'
import type { Claim } from '../../services/claim-store/claim.ts'
import type { Mac } from '../../services/claim-store/mac.ts'
import { attributesOf, encodeEvent, MAC_HEADER } from '../../services/common/envelope.ts'
import { permanent } from '../../services/common/fault.ts'
import { memberIdOf } from '../../services/common/member-id.ts'
import { ensureTopology } from '../../services/common/topology.ts'
import { emailOf } from '../../services/provisioner/identity.ts'
import type { Pterodactyl } from '../../services/provisioner/pterodactyl.ts'
import { createDeletionLooks, type Owned } from '../../services/provisioner/deletion-looks.ts'
import { createRemoval } from '../../services/provisioner/removal.ts'
import { managerOf } from '../backups/manager.ts'
import { remove, stateOf } from '../backups/restore.ts'
import { streamOf } from '../backups/what.ts'
import { bringPast, messagesOf, passOver } from '../rekey/ledger.ts'
import { runningServices } from '../rekey/rekey.ts'
import type { Step } from '../rekey/step.ts'
import { lookAround, serverOn } from './around.ts'
import { asksPanel, planOf, type ClaimPlan, type Planned } from './plan.ts'

export interface ReseedOptions {
  readonly connection: NatsConnection
  readonly panel: Pterodactyl
  readonly path: string
  readonly mac: Mac
  readonly memberIdKey: string
  readonly emailDomain: string
  readonly replicas: number
  readonly now: () => Date
}

export interface Survey {
  readonly book: BookFile
  readonly claims: readonly ClaimPlan[]
  /** Events that an earlier run has written. */
  readonly done: number
  /** What the ledger's stream holds; null where it is gone. */
  readonly there: { readonly messages: number, readonly last: number } | null
  /** Notices that were decided and not yet sent: nobody will believe them any more. */
  readonly unsent: number
}

/**
 * The new ledger begins so far behind the book: decisions that the book no longer learned of have had numbers, too, and none is given twice. More
 * than can be decided between two writes of a book, and an old copy of one is behind by less.
 */
const GAP = 1_000_000
const CONSUMER_NOT_FOUND = 10014

const refused = (words: string): Error => permanent('RESEED_REFUSED', words)

/** Reads and checks, and changes nothing. Permanent Fault RESEED_REFUSED. */
export async function survey (options: ReseedOptions): Promise<Survey> {
  const { connection, path } = options
  const running = await runningServices(connection)
  if (running.length > 0) throw refused(`still running: ${running.join(', ')}; stop every service`)
  const book = await bookAt(path)
  const jsm = await managerOf(connection)
  const there = await stateOf(jsm, LEDGER_STREAM)
  const stored = there === null || there.messages === 0 ? [] : await storedOn(jsm, there, book)
  const claims = await planned(options, jsm, book)
  const done = agreed(stored, claims, options.mac)
  const unsent = await jsm.consumers.info(botMessages.stream, botMessages.name).catch(() => null)
  return { book, claims, done, there, unsent: unsent ? unsent.num_pending + unsent.num_ack_pending : 0 }
}

export async function reseed (options: ReseedOptions, step: Step): Promise<Survey> {
  const { connection, mac, replicas } = options
  const found = await survey(options)
  const jsm = await managerOf(connection)
  await clear(options, found.claims, step)
  await begin(options, jsm, found, step)
  const js = jetstream(connection)
  // Of each member the run before this one wrote the first so many.
  const written = new Map<string, number>()
  for await (const { subject } of messagesOf({ jsm }, LEDGER_STREAM)) written.set(memberOf(subject), (written.get(memberOf(subject)) ?? 0) + 1)
  for (const [memberId, events] of byMember(found.claims)) {
    const already = written.get(memberId) ?? 0
    let expected = (await jsm.direct.getMessage(LEDGER_STREAM, { last_by_subj: `claims.${memberId}.*` }))?.seq ?? 0
    for (const event of events.slice(already)) {
      const { headers, body, subject } = message(event, mac)
      // Without an id for the server: it may remember one of a ledger that was emptied.
      const { seq } = await js.publish(subject, body, { headers, expect: { lastSubjectSequence: expected, lastSubjectSequenceSubject: `claims.${memberId}.*` } })
      expected = seq
      await step('an event is written')
    }
  }
  // Who was to be told or to do something has been told, and has done it.
  await passOver({ connection, js, jsm }, step)
  // What was done on the panel was seen there, and the requests that it names as its cause are lost.
  await bringPast({ js, jsm }, claimStoreServers, step)
  // Who left or came after the book was written is decided on once more: a restored claim knows what it has heard before.
  await removeConsumer(jsm, claimStoreMembers)
  await step('readers are where they should be')
  await ensureTopology(connection, replicas)
  return found
}

/** The topology makes it again, from the stream's beginning. */
async function removeConsumer (jsm: JetStreamManager, { stream, name }: { readonly stream: string, readonly name: string }): Promise<void> {
  try {
    await jsm.consumers.delete(stream, name)
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === CONSUMER_NOT_FOUND)) throw error
  }
}

/** The only source there is: what claim-store did not write itself becomes no ledger. */
async function bookAt (path: string): Promise<BookFile> {
  const reading = await readBook(path.replace(/\.sqlite$/, '.json')).catch((error: unknown) => { throw refused(`the book cannot be read (${(error as NodeJS.ErrnoException).code ?? 'the disk does not say why'})`) })
  if (reading.state === 'absent') throw refused('there is no book')
  if (reading.state === 'damaged') throw refused('this is no book, or a damaged one')
  if (reading.state === 'changed') throw refused('this is not what claim-store wrote: it was edited, or a bit turned. Take an older copy of it')
  return reading.book
}

/** A ledger with claims is never written into, unless all it holds is what an earlier run has written. */
async function storedOn (jsm: JetStreamManager, { messages, last }: { messages: number, last: number }, { sequence, claims }: BookFile): Promise<StoredMsg[]> {
  const lives = (): Error => refused(`the ledger holds ${messages} events that are not from this book's entries: it is not lost; start claim-store, which brings the book up to date`)
  const older = (): Error => refused(`the ledger holds ${messages} events up to ${last}, and the book goes to ${sequence}: a part of it is lost, or an older one was restored; see RUNBOOK.md for which of the two to take`)
  const stored: StoredMsg[] = []
  for await (const message of messagesOf({ jsm }, LEDGER_STREAM)) {
    stored.push(message)
    if (stored.length > 2 * claims.length || message.seq <= sequence) throw last < sequence ? older() : lives()
  }
  return stored
}

async function planned ({ panel, memberIdKey, now }: ReseedOptions, jsm: JetStreamManager, book: BookFile): Promise<ClaimPlan[]> {
  const { heard, languages, departures } = await lookAround(jsm, memberIdKey)
  const members = new Map<string, Claim>()
  const signal = new AbortController().signal
  const plans: ClaimPlan[] = []
  for (const entry of book.claims.toSorted((one, two) => one.created_at < two.created_at ? -1 : 1)) {
    const { claim_id: claimId, delete_job_id: job } = entry
    const memberId = memberIdOf(memberIdKey, entry.wa_jid)
    const known = {
      memberId, language: languages.get(claimId) ?? 'id', heard: heard.get(memberId) ?? [],
      departures: Math.max(departures.get(claimId) ?? 0, job === null ? 0 : Number(job.slice(job.lastIndexOf('-d') + 2))),
      server: asksPanel(entry) ? await serverOn(panel, entry, signal) : null,
    }
    const { plan, claim } = planOf(entry, known, members.get(memberId) ?? { status: 'none' }, now())
    members.set(memberId, claim)
    plans.push(plan)
  }
  return plans
}

function byMember (claims: readonly ClaimPlan[]): Map<string, Planned[]> {
  const members = new Map<string, Planned[]>()
  for (const { memberId, events } of claims) members.set(memberId, [...members.get(memberId) ?? [], ...events])
  return members
}

const memberOf = (subject: string): string => subject.split('.')[1] ?? ''

function message ({ definition, key, data, time }: Planned, mac: Mac): { id: string, subject: string, headers: ReturnType<typeof encodeEvent>['headers'], body: string } {
  const { id, headers, body } = encodeEvent(definition, { key, author: 'claim-store', time, data: data as never, correlation: data['claim_id'] as string, causation: undefined })
  const subject = headers.get('ce-subject')
  headers.set(MAC_HEADER, mac.sign({ subject, id, type: definition.type, time: time.toISOString(), body }))
  return { id, subject, headers, body }
}

/** How many of the planned events stand on the stream already: of each member the first so many, and nothing else. */
function agreed (stored: readonly StoredMsg[], claims: readonly ClaimPlan[], mac: Mac): number {
  const events = byMember(claims)
  const counts = new Map<string, number>()
  for (const { subject, header, data } of stored) {
    const memberId = memberOf(subject)
    const count = counts.get(memberId) ?? 0
    const next = events.get(memberId)?.[count]
    const expected = next && message(next, mac)
    if (!expected || !mac.isOurs({ subject, header, data }) || attributesOf(header).id !== expected.id || new TextDecoder().decode(data) !== expected.body) {
      throw refused('the ledger holds what this book does not say: it is not lost, or what an earlier run began has changed on the panel since; where every service stood still all the time, nats stream rm CLAIMS, and begin again')
    }
    counts.set(memberId, count + 1)
  }
  return stored.length
}

/** What is half-made or half-deleted goes before anything says so. Only a server with the claim's id, and an account with the member's. */
async function clear ({ panel, emailDomain }: ReseedOptions, claims: readonly ClaimPlan[], step: Step): Promise<void> {
  const signal = new AbortController().signal
  const read = async (claimIds: readonly string[], onSend: () => Promise<void>): Promise<Map<string, Owned>> => await panel.serversOfClaims(claimIds, 'delete', signal, onSend)
  const removal = createRemoval({ panel, looks: createDeletionLooks({ read, atOnce: 1, now: Date.now }), now: Date.now })
  for (const { entry, memberId, clears } of claims) {
    if (!clears) continue
    await removal.server(entry.claim_id, { serverId: entry.server_id ?? undefined, userId: entry.user_id ?? undefined }, signal)
    await removal.user({ memberId, waJid: entry.wa_jid, email: emailOf(memberId, emailDomain) }, entry.user_id ?? undefined, signal)
    await step('a claim has nothing on the panel any more')
  }
}

/** An empty stream whose next message has a number that no event had. */
async function begin ({ connection, replicas }: ReseedOptions, jsm: JetStreamManager, { book, there, done }: Survey, step: Step): Promise<void> {
  if (done === 0) {
    // Emptied, it would remember for an hour what it held, and its readers where they were.
    if (there !== null) await remove(jsm, LEDGER_STREAM)
    await ensureTopology(connection, replicas)
    await step('the streams are there')
  }
  // A claim-store that starts before this is refused by its book, and after this it waits.
  await remove(jsm, streamOf(topologyBucket))
  if (done > 0) return
  await jsm.streams.purge(LEDGER_STREAM, { seq: Math.max(book.sequence, there?.last ?? 0) + GAP })
  await step('the ledger begins behind the book')
}
