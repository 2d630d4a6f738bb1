// scripts/dead-letters: what nobody could handle is looked at, handled after all, or thrown away. NATS_URL and the operator's NATS_NKEY_SEED say where.
import { openDeadLetters, type Checked, type DeadLetters, type Outcome } from './letters/letters.ts'
import type { Letter } from './letters/letter.ts'
import { maskedBody, revealedBody } from './letters/masking.ts'
import { asOperator } from './operating/operator.ts'
import { CalledWrongly, change, flag, integer, json, optional, required, why, withDefault } from './operating/options.ts'
import { command, EXIT, runScript, type Call, type Program } from './operating/program.ts'

const REFUSED = 2
const LISTED_MAX = 200
const SEQUENCE = integer(1, 999_999_999_999_999)
const ONE = { takes: '<sequence>', min: 1, max: 1 } as const
const EXITS = { [EXIT.no]: 'there is no such letter' }
const UNSURE = { unsure: 'the letter is still there, and its message may or may not have been handled. It is safe to try again.' }

const onLetters = async (call: Pick<Call, 'env' | 'tell'>, work: (letters: DeadLetters) => Promise<number>): Promise<number> => await asOperator(call, async (bus) => await work(openDeadLetters(bus)), UNSURE)

function sequenceOf ([word = '']: readonly string[]): number {
  const sequence = SEQUENCE.parse(word)
  if (sequence === undefined) throw new CalledWrongly('a dead letter goes by its sequence, as `list` shows it')
  return sequence
}

const lineOf = ({ sequence, buriedAt, reason, consumer, subject, claimId, deliveries, help }: Letter): string =>
  `${sequence}  ${buriedAt}  ${reason}  ${consumer.name}  ${subject}  claim ${claimId ?? '-'}  after ${deliveries}  ${help}`
const objectOf = ({ sequence, buriedAt: time, reason, consumer, subject, claimId, deliveries, help: runbook, type, originalSequence }: Letter): object =>
  ({ sequence, time, reason, consumer: consumer.name, stream: consumer.stream, original_sequence: originalSequence, type, subject, claim_id: claimId ?? null, deliveries, runbook })
const foreign = (sequence: number): string => `${sequence}  no dead letter of ours: somebody else wrote it`

function gone (call: Pick<Call, 'tell'>): number {
  call.tell({ ok: false, code: 'NOT_FOUND' }, 'There is no such dead letter, or no longer.')
  return EXIT.no
}

const list = command({
  name: 'list', summary: 'time, reason, consumer, subject, claim, deliveries, and where RUNBOOK.md explains the reason',
  options: { from: withDefault(SEQUENCE, 'only from this sequence on', 1), ...json }, exits: {},
  run: async (call) => await onLetters(call, async (letters) => {
    const found = await letters.list(call.options.from, LISTED_MAX)
    for (const { sequence, letter } of found) call.tell(letter ? { ...objectOf(letter) } : { sequence, reason: null }, letter ? lineOf(letter) : foreign(sequence))
    const next = (found.at(-1)?.sequence ?? 0) + 1
    if (found.length === LISTED_MAX) call.tell({ next }, `There may be more: ${call.path} --from ${next}`)
    if (found.length === 0 && !call.options.json) call.print('There are no dead letters.')
    return EXIT.done
  }),
})

const show = command({
  name: 'show', summary: 'one letter; numbers, sealed passwords and texts are hidden', words: ONE,
  options: { reveal: flag('shows all of it'), ...json }, exits: EXITS,
  run: async (call) => {
    const sequence = sequenceOf(call.words)
    return await onLetters(call, async (letters) => {
      const found = await letters.read(sequence)
      if (!found) return gone(call)
      const { letter, data } = found
      const body = call.options.reveal ? revealedBody(data) : maskedBody(letter?.type ?? '', data)
      call.tell({ ...(letter ? objectOf(letter) : { sequence, reason: null }), body }, letter ? lineOf(letter) : foreign(sequence), ...(letter ? [`${letter.type}, message ${letter.originalSequence} of ${letter.consumer.stream}`] : []), body)
      return EXIT.done
    })
  },
})

const replay = command({
  name: 'replay', summary: 'the consumer that failed, and no other, tries once more', words: ONE,
  options: { ...change, ...why(optional) }, exits: { ...EXITS, [REFUSED]: 'refused, or failed again' },
  run: async (call) => {
    const { options: { by = call.login, why, 'dry-run': isDry } } = call
    const sequence = sequenceOf(call.words)
    return await onLetters(call, async (letters) => told(call, isDry ? await letters.check(sequence) : await letters.replay(sequence, by, why)))
  },
})

function told (call: Pick<Call, 'tell'>, outcome: Outcome | Checked): number {
  switch (outcome.kind) {
    case 'whole':
      call.tell({ ok: true, dry_run: true }, `Would be tried: ${outcome.letter.consumer.name} is given it once more. Nothing was changed.`)
      return EXIT.done
    case 'replayed':
      call.tell({ ok: true }, `${outcome.letter.consumer.name} has handled it; the letter is erased.`)
      return EXIT.done
    case 'failed':
      call.tell({ ok: false, code: outcome.code }, `${outcome.code}: ${outcome.letter.consumer.name} could not handle it; the letter stays. The log of ${outcome.letter.consumer.service} says why.`)
      return REFUSED
    case 'forged':
      call.tell({ ok: false, code: 'FORGED' }, 'Refused: this is not the copy of a message that stands where it says. Look at who wrote it, then discard it.')
      return REFUSED
    case 'original_gone':
      call.tell({ ok: false, code: 'ORIGINAL_GONE' }, 'Refused: the original is no longer on its stream, so nothing shows any more that it was said. Discard it.')
      return REFUSED
    case 'gone':
      return gone(call)
    default:
      return outcome satisfies never
  }
}

const discard = command({
  name: 'discard', summary: 'the letter is erased without being handled', words: ONE,
  options: { ...change, ...why(required) }, exits: EXITS,
  run: async (call) => {
    const { options: { by = call.login, why, 'dry-run': isDry } } = call
    const sequence = sequenceOf(call.words)
    return await onLetters(call, async (letters) => {
      if (isDry ? !await letters.read(sequence) : !await letters.discard(sequence, by, why)) return gone(call)
      call.tell({ ok: true, ...(isDry ? { dry_run: true } : {}) }, isDry ? 'Would be erased. Nothing was changed.' : 'Erased. The log of claim-store has who and why.')
      return EXIT.done
    })
  },
})

export const deadLetters: Program = { name: 'dead-letters', summary: 'what nobody could handle is looked at, handled after all, or thrown away', commands: [list, show, replay, discard] }

if (import.meta.main) await runScript('scripts/dead-letters', deadLetters)
