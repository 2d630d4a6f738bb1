// A dead letter that an operator does not want handled is erased; that it was, by whom and why stays in the log.
import type { Static } from 'typebox'
import { DEAD_LETTER_HEADERS } from '../../contracts/events/dead-letters.ts'
import { discardDeadLetter } from '../../contracts/replay.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import { attributesOf } from '../common/envelope.ts'
import { eraseMessage } from '../common/erase-stream.ts'
import { transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'

const STREAM = 'DEAD_LETTERS'

export function createDiscard (bus: Bus, log: Log): Responder {
  async function discard ({ sequence, by, why }: Static<typeof discardDeadLetter.question>): Promise<Static<typeof discardDeadLetter.answer>> {
    const letter = await bus.raw.jsm.direct.getMessage(STREAM, { seq: sequence }).catch((error: unknown) => { throw transient('NATS_UNAVAILABLE', 'a dead letter could not be read', { cause: error }) })
    if (!letter || !await eraseMessage(bus, STREAM, sequence)) return { ok: false, rejection: 'NOT_FOUND' }
    const { type, correlation: claimId } = attributesOf(letter.header)
    log.warn({ sequence, type, claimId, consumer: letter.header.get(DEAD_LETTER_HEADERS.consumer), reason: letter.header.get(DEAD_LETTER_HEADERS.reason), by, why }, 'a dead letter is discarded')
    return { ok: true }
  }
  return answering(discardDeadLetter, discard)
}
