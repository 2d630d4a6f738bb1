// What people had services do, from OPERATIONS: who, why, about whom, and what came of it.
import type { StoredMsg } from '@nats-io/jetstream'
import { OPERATOR_ACTED, type Acted } from '../../contracts/events/operations.ts'
import type { ServiceName } from '../../contracts/define.ts'
import type { Bus } from '../../services/common/bus.ts'
import { decodeEvent } from '../../services/common/envelope.ts'
import { pagesOf } from '../../services/common/page.ts'
import { transient } from '../../services/common/fault.ts'
import { asOperator } from './operator.ts'
import { duration, flag, json, optional, type Kind } from './options.ts'
import { command, EXIT } from './program.ts'
import { momentText } from './times.ts'
import { claimOf, whomOf } from './whom.ts'

const STREAM = 'OPERATIONS'
const PAGE = 500
const READ_MAX = 20_000
const DAY_MS = 86_400_000

/** One request, with what came of it. */
export interface Operation extends Omit<Acted, 'outcome' | 'operation_id'> {
  readonly at: Date
  /** Of the word that asked for it. */
  readonly sequence: number
  readonly service: ServiceName
  /** Undefined: the service died in between, or has it in hand. */
  readonly outcome: string | undefined
}

/** Of what was asked and what came of it one operation is made. What is no word of ours is passed over. */
export function operationsIn (messages: ReadonlyArray<Pick<StoredMsg, 'subject' | 'header' | 'data' | 'time' | 'seq'>>): Operation[] {
  const found = new Map<string, Operation>()
  for (const { subject, header, data, time: at, seq: sequence } of messages) {
    const decoded = decodedOf(subject, header, data)
    if (!decoded) continue
    const { event: { author: service, data: said } } = decoded
    const { operation_id: id, outcome, ...rest } = said as Acted
    const asked = found.get(id)
    found.set(id, asked ? { ...asked, outcome: outcome ?? asked.outcome } : { ...rest, at, sequence, service, outcome })
  }
  return [...found.values()]
}

const WORDS = [...OPERATOR_ACTED.values()]
function decodedOf (subject: string, headers: StoredMsg['header'], data: Uint8Array): ReturnType<typeof decodeEvent> {
  try {
    return decodeEvent(WORDS, { subject, headers, data })
  } catch {
    return undefined
  }
}

/** Since a time, oldest first. `isWhole`: nothing was left out. */
async function read ({ raw: { jsm } }: Pick<Bus, 'raw'>, since: Date, filter: string): Promise<{ messages: StoredMsg[], isWhole: boolean }> {
  const from = await firstSince(jsm, since)
  return from === undefined ? { messages: [], isWhole: true } : await pagesOf(jsm, STREAM, { from, filter, size: PAGE, max: READ_MAX })
}

const NO_SUCH_MESSAGE = 404
async function firstSince (jsm: Bus['raw']['jsm'], start: Date): Promise<number | undefined> {
  try {
    for await (const { seq } of await jsm.direct.getBatch(STREAM, { start_time: start, batch: 1 })) return seq
  } catch (error) {
    if ((error as { code?: unknown }).code !== NO_SUCH_MESSAGE) throw transient('NATS_UNAVAILABLE', `${STREAM} could not be read`, { cause: error })
  }
  return undefined
}

export function lineOf ({ at, service, operation, by, why, detail, claim_id: claimId, member_id: memberId, outcome = 'no outcome yet' }: Operation): string {
  const about = claimId === undefined ? memberId === 'none' ? '' : `  member ${memberId}` : `  claim ${claimId}`
  return `${momentText(at)}  ${by}  ${service}.${operation}${detail === undefined ? '' : ` (${detail})`}${about}  ${outcome}  “${why}”`
}

const whose: Kind<string> = { takes: '<claim id or member id>', is: 'a claim id or a member id', parse: (text) => /^[0-9a-f-]{36}$|^[a-z2-7]{20}$/.test(text) ? text : undefined }

export const audit = command({
  name: 'audit', summary: 'what people had services do, from OPERATIONS: who, why, about whom, and what came of it; the newest last',
  options: {
    of: optional(whose, 'only what is about this member'), ask: flag('asks for the WhatsApp number of that member'),
    since: optional(duration(1_000, 365 * DAY_MS), 'how far back; a week where absent, and of one member a year'), ...json,
  },
  exits: { [EXIT.no]: 'there is no such claim' },
  run: async (call) => {
    const { options: { of, ask, since } } = call
    const whom = of !== undefined || ask ? await whomOf(of === undefined ? [] : [of]) : undefined
    return await asOperator(call, async (bus) => {
      const memberId = whom && ('member_id' in whom ? whom.member_id : (await claimOf(bus, whom))?.member_id)
      if (whom && memberId === undefined) {
        call.tell({ ok: false, code: 'NOT_FOUND' }, 'There is no such claim.')
        return EXIT.no
      }
      const back = since ?? (whom ? 365 : 7) * DAY_MS
      const { messages, isWhole } = await read(bus, new Date(bus.clock.now().getTime() - back), `operations.*.${memberId ?? '*'}`)
      const found = operationsIn(messages)
      for (const operation of found) call.tell({ ...operation, at: operation.at.toISOString(), outcome: operation.outcome ?? null }, lineOf(operation))
      if (!isWhole) call.complain(`These are the oldest ${READ_MAX} words; a shorter --since shows the rest.`)
      if (found.length === 0 && !call.options.json) call.print('Nobody had anything done.')
      return EXIT.done
    })
  },
})
