// What a dead letter says about itself, checked: any service may write on DEAD_LETTERS, so nothing of it is shown or believed as it stands.
import type { StoredMsg } from '@nats-io/jetstream'
import type { MsgHdrs } from '@nats-io/transport-node'
import { EVENTS } from '../../contracts/catalog.ts'
import { DEAD_LETTER_HEADERS, deadSubject, runbookAnchor } from '../../contracts/events/dead-letters.ts'
import { ClaimId } from '../../contracts/ids.ts'
import { CONSUMERS, filtersOf, type ConsumerDefinition } from '../../contracts/streams.ts'
import { attributesOf, validatorOf } from '../../services/common/envelope.ts'

export interface Letter {
  /** Its own, on DEAD_LETTERS. */
  readonly sequence: number
  readonly buriedAt: string
  readonly reason: string
  readonly help: string
  readonly consumer: ConsumerDefinition
  /** Subject of the original. */
  readonly subject: string
  readonly originalSequence: number
  readonly deliveries: number
  readonly type: string
  readonly claimId: string | undefined
}

const COUNT = /^[1-9]\d{0,15}$/

/** Null where it is none that one of our consumers could have written. */
export function letterOf ({ seq: sequence, subject: stands, time, header }: StoredMsg): Letter | null {
  const said = (name: keyof typeof DEAD_LETTER_HEADERS): string => header.get(DEAD_LETTER_HEADERS[name])
  const [reason, subject] = [said('reason'), said('subject')]
  const consumer = CONSUMERS.find(({ name, stream }) => name === said('consumer') && stream === said('stream'))
  if (!consumer || !/^[A-Z_]{1,60}$/.test(reason) || !COUNT.test(said('sequence')) || !COUNT.test(said('deliveries'))) return null
  if (stands !== deadSubject(subject) || !filtersOf(consumer).some((filter) => isUnder(subject, filter))) return null
  const { type, correlation } = attributesOf(header)
  return {
    sequence, buriedAt: time.toISOString(), reason, help: runbookAnchor(reason), consumer, subject,
    originalSequence: Number(said('sequence')), deliveries: Number(said('deliveries')),
    type: EVENTS.some((event) => event.type === type) ? type : 'unknown',
    claimId: validatorOf(ClaimId).Check(correlation) ? correlation : undefined,
  }
}

/** Filters of events have single wildcards only; an id in a subject is of these characters. */
function isUnder (subject: string, filter: string): boolean {
  const [tokens, parts] = [subject.split('.'), filter.split('.')]
  return tokens.length === parts.length && parts.every((part, at) => part === '*' ? /^[a-z0-9_-]{1,120}$/.test(tokens[at] ?? '') : part === tokens[at])
}

/** Whether a letter is the copy of this original, byte for byte. What makes the server act on a message was not copied. */
export function isCopyOf (letter: StoredMsg, original: StoredMsg): boolean {
  return letter.subject === deadSubject(original.subject) && Buffer.compare(letter.data, original.data) === 0 && copied(letter.header) === copied(original.header)
}

const OURS = new Set<string>(Object.values(DEAD_LETTER_HEADERS).map((name) => name.toLowerCase()))
function copied (header: MsgHdrs): string {
  const kept = [...header].filter(([name]) => !name.toLowerCase().startsWith('nats-') && !OURS.has(name.toLowerCase()))
  return JSON.stringify(kept.map(([name, values]) => [name, values] as const).toSorted(([one], [two]) => one < two ? -1 : 1))
}
