// What an operator has done with one claim. Each is a request that its service decides on; nothing is decided here.
import { EXTEND_HOURS_MAX, HOLD_HOURS_MAX, deleteClaim, extendDeletion, holdDeletion, releaseDeletion, retryClaim, sendLogin, type ClaimView, type OperationAnswer } from '../../contracts/requests.ts'
import type { Bus } from '../../services/common/bus.ts'
import { asOperator } from './operator.ts'
import { reasoned, flag, integer, optional, required, type Options } from './options.ts'
import { command, EXIT, REFUSED, type Call, type Command } from './program.ts'
import { refused } from './refusals.ts'
import { momentText } from './times.ts'
import { claimOf, WHOM, WHOM_DETAILS, whomOf } from './whom.ts'

type Answered = Extract<OperationAnswer, { ok: true }>
/** What is asked of every claim. */
interface Asked { readonly claim_id: string, readonly dry_run?: boolean, readonly by: string, readonly why: string }

interface Change<Given extends Options> {
  readonly name: string
  readonly summary: string
  readonly details?: readonly string[]
  readonly options: Given
  readonly ask: (bus: Bus, asked: Asked, call: Call<typeof reasoned & Given>) => Promise<OperationAnswer>
  /** Of an answer that is no refusal, in a clause. */
  readonly done: (answer: Answered) => string
}

function changing<const Given extends Options> ({ name, summary, details = [], options, ask, done }: Change<Given>): Command {
  return command({
    name, summary, words: WHOM, details: [...details, ...WHOM_DETAILS], options: { ...options, ...reasoned }, exits: REFUSED,
    run: async (call) => await onClaim(call, async (bus, { claim_id }) => {
      const { options: { why, by = call.login, 'dry-run': isDry } } = call as Call<typeof reasoned>
      const answer = await ask(bus, { claim_id, by, why, ...(isDry ? { dry_run: true } : {}) }, call as unknown as Call<typeof reasoned & Given>)
      if (!answer.ok) return refused(call, answer.rejection)
      // What is only tried out has no id yet.
      const { claim_id: next, ...rest } = answer
      const told = isDry || next === undefined ? rest : answer
      call.tell({ claim_id, ...rest, ...('claim_id' in told ? { next_claim_id: next } : {}), dry_run: isDry }, wordsOf(told, done(told), isDry))
      return EXIT.done
    }),
  })
}

function wordsOf ({ outcome }: Answered, clause: string, isDry: boolean): string {
  if (outcome === 'already') return `So already: ${clause}.`
  return isDry ? `Would be done: ${clause}. Nothing was changed.` : `Done: ${clause}.`
}

/** Looks the claim up, so that a member's newest is meant and a number goes no further. */
async function onClaim (call: Call, work: (bus: Bus, claim: ClaimView) => Promise<number>): Promise<number> {
  const whom = await whomOf(call.words)
  return await asOperator(call, async (bus) => {
    const claim = await claimOf(bus, whom)
    return claim ? await work(bus, claim) : refused(call, 'NOT_FOUND')
  }, { unsure: 'it may or may not have been done. Asking again is safe: what was done is not done twice.' })
}

const due = ({ deletion_scheduled_at: at }: Answered): string => at === undefined ? 'at once' : momentText(at)

export const CHANGES: readonly Command[] = [
  changing({
    name: 'retry', summary: 'a claim that failed is asked for once more, as a claim of its own, for its member if they are in the group',
    options: { 'template-version': optional(integer(1, 1_000_000), 'another version of the offer, where it was mended since') },
    ask: async (bus, asked, { options: { 'template-version': version } }) => await bus.request(retryClaim, { ...asked, ...(version === undefined ? {} : { template_version: version }) }),
    done: ({ claim_id: next }) => next === undefined ? 'it is asked for again' : `it is asked for again as claim ${next}`,
  }),
  changing({
    name: 'delete', summary: 'the server goes now, without the grace, and otherwise like every other',
    details: ['Brake, pace and the look at the group stay, and the member is told. Not of a member who is in the group, unless --even-if-present.'],
    options: { 'even-if-present': flag('whoever is in the group') },
    ask: async (bus, asked, { options: { 'even-if-present': evenIfPresent } }) => await bus.request(deleteClaim, { ...asked, ...(evenIfPresent ? { even_if_present: true } : {}) }),
    done: () => 'the server is due to go, after a look at brake, pace and group',
  }),
  changing({
    name: 'hold', summary: 'a scheduled deletion waits until it is released, so many hours from now at most',
    details: ['Who comes back meanwhile keeps the server, as ever.'],
    options: { hours: required(integer(1, HOLD_HOURS_MAX), `from now, ${HOLD_HOURS_MAX} at most`) },
    ask: async (bus, asked, { options: { hours } }) => await bus.request(holdDeletion, { ...asked, hours }),
    done: (answer) => `the deletion is held until ${due(answer)}`,
  }),
  changing({
    name: 'release', summary: 'a deletion that is held is due when it was before, or in an hour',
    options: {},
    ask: async (bus, asked) => await bus.request(releaseDeletion, asked),
    done: (answer) => `the server is due to go ${due(answer)}`,
  }),
  changing({
    name: 'extend', summary: 'a scheduled deletion is due so many hours later',
    details: ['Never later than 30 days after the leave.'],
    options: { hours: required(integer(1, EXTEND_HOURS_MAX), `later than it was due, ${EXTEND_HOURS_MAX} at most at a time`) },
    ask: async (bus, asked, { options: { hours } }) => await bus.request(extendDeletion, { ...asked, hours }),
    done: (answer) => `the server is due to go ${due(answer)}`,
  }),
]

export const login = command({
  name: 'send-login', summary: 'a new password is set and sent to the member, as when they write SANDI to the bot', words: WHOM, details: WHOM_DETAILS,
  options: reasoned, exits: REFUSED,
  run: async (call) => await onClaim(call, async (bus, { claim_id, status, deletion_started: isStarted = false }) => {
    const { options: { why, by = call.login, 'dry-run': isDry } } = call
    if (isDry) {
      // Whether panel and WhatsApp take it shows only when it is done.
      if (isStarted || (status !== 'active' && status !== 'deleting')) return refused(call, 'NOT_ACTIVE')
      call.tell({ claim_id, ok: true, outcome: 'done', dry_run: true }, 'Would be tried: a new login for the member. Nothing was changed.')
      return EXIT.done
    }
    const answer = await bus.request(sendLogin, { claim_id, by, why })
    if (!answer.ok) return refused(call, answer.rejection)
    call.tell({ claim_id, ok: true, outcome: 'done', dry_run: false }, 'Done: the new login is sent.')
    return EXIT.done
  }),
})
