// A message of the ledger's stream as the event that it is. Pure.
import { attributesOf, checkedAs } from '../common/envelope.ts'
import { permanent } from '../common/fault.ts'
import type { Mac, Stored } from './mac.ts'
import type { LedgerRecord } from './projection.ts'
import { LEDGER_EVENTS } from './record.ts'

/** Undefined where its type is of a newer version. Permanent Fault MESSAGE_INVALID where no claim-store decided it. */
export function recordIn (mac: Mac, { seq, subject, header, data }: Stored & { readonly seq: number }): LedgerRecord | undefined {
  const attributes = attributesOf(header)
  // What is ours has a time that is one.
  if (!mac.isOurs({ subject, header, data }, attributes)) throw permanent('MESSAGE_INVALID', 'not signed by a claim-store')
  const checked = checkedAs(LEDGER_EVENTS, attributes, { subject, data })
  if (!checked) return undefined
  const { definition: { type }, data: fields } = checked
  return { id: copied(attributes.id), type, time: copied(attributes.timestamp), sequence: seq, data: fields as LedgerRecord['data'] }
}

/** A string that V8 cut from another keeps all of that in memory: from an id that is kept for a member hung all headers of its event. What is put together anew is cut from no more than itself. */
const copied = (text: string): string => ` ${text}`.slice(1)
