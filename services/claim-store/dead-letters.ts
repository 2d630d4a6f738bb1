// A dead letter that an operator does not want handled is erased; that it was, by whom and why stays on OPERATIONS.
import type { Static } from 'typebox'
import { DEAD_LETTER_HEADERS } from '../../contracts/events/dead-letters.ts'
import { discardDeadLetter } from '../../contracts/replay.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import { attributesOf } from '../common/envelope.ts'
import { eraseMessage } from '../common/erase-stream.ts'
import { transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { onWord } from '../common/operations.ts'

const STREAM = 'DEAD_LETTERS'

/** `memberOf`: whose claim that is, where the ledger knows it. */
export function createDiscard (bus: Bus, memberOf: (claimId: string) => string | undefined, log: Log): Responder {
  async function discard ({ sequence, by, why }: Static<typeof discardDeadLetter.question>): Promise<Static<typeof discardDeadLetter.answer>> {
    const letter = await bus.raw.jsm.streams.getMessage(STREAM, { seq: sequence }).catch((error: unknown) => { throw transient('NATS_UNAVAILABLE', 'a dead letter could not be read', { cause: error }) })
    if (!letter) return { ok: false, rejection: 'NOT_FOUND' }
    const { id, type, correlation: claimId } = attributesOf(letter.header)
    const memberId = memberOf(claimId)
    return await onWord(bus, { request: discardDeadLetter, by, why, about: memberId === undefined ? undefined : { memberId, claimId }, detail: `dead letter ${sequence}` }, async () => {
      if (!await eraseMessage(bus, STREAM, sequence)) return { ok: false as const, rejection: 'NOT_FOUND' as const }
      log.warn({ decision: 'dead_letter.discarded', sequence, type, event_id: id, claim_id: claimId || undefined, consumer: letter.header.get(DEAD_LETTER_HEADERS.consumer), reason: letter.header.get(DEAD_LETTER_HEADERS.reason), by, why }, 'a dead letter is discarded')
      return { ok: true as const }
    })
  }
  return answering(discardDeadLetter, discard)
}
