// The dead letters as an operator works on them. Needs the operator's rights.
import type { StoredMsg } from '@nats-io/jetstream'
import { discardDeadLetter, REPLAYS, type ReplayDefinition } from '../../contracts/replay.ts'
import type { Bus } from '../../services/common/bus.ts'
import { eraseMessage } from '../../services/common/erase-stream.ts'
import { transient } from '../../services/common/fault.ts'
import { isCopyOf, letterOf, type Letter } from './letter.ts'

const STREAM = 'DEAD_LETTERS'
/** Status of an empty batch (JetStreamStatusError of client 3.4.0). */
const NO_SUCH_MESSAGE = 404

/**
 * `gone`: no such letter, or no longer. `forged`: it is not the copy of a message that stands where it says, so no service is asked to believe it.
 * `original_gone`: the stream no longer holds the original, so nothing can show any more that it was said.
 */
export type Outcome =
  | { readonly kind: 'replayed', readonly letter: Letter }
  | { readonly kind: 'failed', readonly letter: Letter, readonly code: string }
  | { readonly kind: 'gone' | 'forged' | 'original_gone' }

/** What could be replayed, before anybody is asked. */
export type Checked = { readonly kind: 'whole', readonly letter: Letter, readonly original: StoredMsg } | Exclude<Outcome, { letter: Letter }>

export interface DeadLetters {
  /** Oldest first, from a sequence on. `letter` is null where it is none that a consumer of ours wrote. */
  list: (from: number, limit: number) => Promise<Array<{ sequence: number, letter: Letter | null }>>
  read: (sequence: number) => Promise<{ letter: Letter | null, data: Uint8Array } | null>
  /** Whether it is the copy of a message that stands where it says. */
  check: (sequence: number) => Promise<Checked>
  /** Has the consumer that failed handle the original once more, and erases the letter when it could. Doing it again, or dying in between, does nothing twice: handlers are made for that. */
  replay: (sequence: number, by: string, why?: string) => Promise<Outcome>
  /** False: there is none. */
  discard: (sequence: number, by: string, why: string) => Promise<boolean>
}

export function openDeadLetters (bus: Bus): DeadLetters {
  const { jsm } = bus.raw

  async function stored (stream: string, sequence: number): Promise<StoredMsg | null> {
    try {
      return await jsm.direct.getMessage(stream, { seq: sequence })
    } catch (error) {
      throw transient('NATS_UNAVAILABLE', `a message of ${stream} could not be read`, { cause: error })
    }
  }

  async function list (from: number, limit: number): Promise<Array<{ sequence: number, letter: Letter | null }>> {
    const found: Array<{ sequence: number, letter: Letter | null }> = []
    try {
      for await (const message of await jsm.direct.getBatch(STREAM, { seq: from, batch: limit, next_by_subj: 'dead.>' })) found.push({ sequence: message.seq, letter: letterOf(message) })
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_SUCH_MESSAGE) throw transient('NATS_UNAVAILABLE', 'the dead letters could not be read', { cause: error })
    }
    return found
  }

  async function check (sequence: number): Promise<Checked> {
    const copy = await stored(STREAM, sequence)
    if (!copy) return { kind: 'gone' }
    const letter = letterOf(copy)
    if (!letter) return { kind: 'forged' }
    const original = await stored(letter.consumer.stream, letter.originalSequence)
    if (!original) return { kind: 'original_gone' }
    return isCopyOf(copy, original) ? { kind: 'whole', letter, original } : { kind: 'forged' }
  }

  async function replay (sequence: number, by: string, why?: string): Promise<Outcome> {
    const checked = await check(sequence)
    if (checked.kind !== 'whole') return checked
    const { letter, original } = checked
    const answer = await bus.request(REPLAYS.get(letter.consumer.service) as ReplayDefinition, {
      consumer: letter.consumer.name, sequence: original.seq, deliveries: letter.deliveries, subject: original.subject,
      headers: [...original.header].flatMap(([name, values]) => values.map((value): [string, string] => [name, value])),
      body_base64: Buffer.from(original.data).toString('base64'), by, ...(why === undefined ? {} : { why }),
    })
    if (!answer.ok) return { kind: 'failed', letter, code: answer.code ?? answer.rejection }
    await eraseMessage(bus, STREAM, sequence)
    return { kind: 'replayed', letter }
  }

  return {
    list,
    read: async (sequence) => {
      const message = await stored(STREAM, sequence)
      return message && { letter: letterOf(message), data: message.data }
    },
    check,
    replay,
    discard: async (sequence, by, why) => (await bus.request(discardDeadLetter, { sequence, by, why })).ok,
  }
}
