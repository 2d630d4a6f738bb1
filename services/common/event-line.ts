// The log line of a decision. What a service decides becomes an event, so the line is written where events are stored, once for all services;
// what it decides without saying it to others (a refusal, a wait) is a line with `decision` in place of `event`.
import type { EventDefinition } from '../../contracts/define.ts'
import { deletionPostponed, deletionRefuted } from '../../contracts/events/deletions.ts'
import { messageUndeliverable } from '../../contracts/events/messages.ts'
import type { OperationAnswer, RepairAnswer } from '../../contracts/requests.ts'
import type { Log } from './log.ts'

/** Of an event's data these are written: ids, words and times of ours. What is not named here is not written, whatever it holds. */
const FIELDS = [
  'claim_id', 'member_id', 'delete_job_id', 'message_id', 'kind', 'step', 'attempt', 'code', 'reason', 'observed_by', 'deletion_scheduled_at', 'due_at', 'until', 'server_id', 'user_deleted', 'status', 'operation', 'outcome', 'even_if_present',
] as const

/** Without prefix and version, which say nothing to a reader: `claim.requested`. */
export const eventNameOf = ({ type }: Pick<EventDefinition, 'type'>): string => type.replace(/^klaim\./, '').replace(/\.v\d+$/, '')

/** What may be told of an event to an operator, under the names that it has on the stream. */
export function factsOf (data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(FIELDS.filter((field) => data[field] !== undefined).map((field) => [field, data[field]]))
}

/** `since`: when what led to it began. The line's sentence is the event's own summary. */
export function logEvent (log: Log, definition: EventDefinition, { id, data, since, now }: { id: string, data: Readonly<Record<string, unknown>>, since?: Date | undefined, now: Date }): void {
  const duration = since === undefined ? {} : { duration_ms: Math.max(0, now.getTime() - since.getTime()) }
  log[levelOf(definition, data)]({ event: eventNameOf(definition), event_id: id, ...factsOf(data), ...duration }, definition.summary)
}

const PASSES_BY_ITSELF: ReadonlySet<unknown> = new Set(['pace', 'creating'])

/** A person looks at what does not go on by itself as it should. A claim that fails has been told, with its cause, by whoever gave it up; an operator's word, by whoever carries it out. */
function levelOf ({ type, stream }: EventDefinition, data: Readonly<Record<string, unknown>>): 'warn' | 'info' | 'debug' {
  if (stream === 'OPERATIONS') return 'debug'
  if (type === deletionPostponed.type) return PASSES_BY_ITSELF.has(data['reason']) ? 'info' : 'warn'
  return type === messageUndeliverable.type || type === deletionRefuted.type ? 'warn' : 'info'
}

/** What came of an operator's wish, for the line that says whose it was. */
export const outcomeOf = (answer: RepairAnswer | OperationAnswer): { outcome: string } | { code: string } => answer.ok ? { outcome: answer.outcome } : { code: answer.rejection }
