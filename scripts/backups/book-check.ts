// Is the book in a backup what the ledger in the backup says? The book reflects everything up to its sequence and may reflect some of what is
// newer, so each of its entries has to be what the ledger said of the claim then or at any time later.
import { isDeepStrictEqual } from 'node:util'
import type { JetStreamManager } from '@nats-io/jetstream'
import type { BookEntry } from '../../contracts/requests.ts'
import { permanent } from '../../services/common/fault.ts'
import type { BookFile } from '../../services/claim-store/book.ts'
import { recordIn } from '../../services/claim-store/ledger-record.ts'
import type { Mac } from '../../services/claim-store/mac.ts'
import { Projection, type LedgerRecord } from '../../services/claim-store/projection.ts'
import { entryOf } from '../../services/claim-store/record.ts'
import { messagesOf } from '../rekey/ledger.ts'

/** Permanent Fault BOOK_DIFFERS, which names claims by their ids. */
export async function checkBook (jsm: JetStreamManager, mac: Mac, { sequence, claims }: BookFile): Promise<void> {
  const projection = new Projection()
  /** What the ledger said of each claim since `sequence`; null while there was no such claim. */
  const said = new Map<string, Array<BookEntry | null>>()
  let isNewer = false
  const say = (claimId: string, entry: BookEntry | null): void => { said.set(claimId, isNewer ? [...said.get(claimId) ?? [null], entry] : [entry]) }
  projection.onChange((view) => { say(view.claim_id, entryOf(view)) })
  projection.onForgotten((claimId) => { say(claimId, null) })
  for await (const message of messagesOf({ jsm }, 'CLAIMS')) {
    isNewer = message.seq > sequence
    const record = recordOf(mac, message)
    if (record) projection.apply(record)
  }
  const inBook = new Map(claims.map((entry) => [entry.claim_id, entry]))
  const wrong = [...new Set([...said.keys(), ...inBook.keys()])].filter((claimId) => !(said.get(claimId) ?? [null]).some((entry) => isDeepStrictEqual(entry, inBook.get(claimId) ?? null)))
  if (wrong.length > 0) throw permanent('BOOK_DIFFERS', `the book and the ledger differ in ${wrong.length} claims: ${wrong.slice(0, 5).join(', ')}`)
}

/** What is no decision is passed over, as claim-store does. */
function recordOf (...[mac, message]: Parameters<typeof recordIn>): LedgerRecord | undefined {
  try {
    return recordIn(mac, message)
  } catch {
    return undefined
  }
}
