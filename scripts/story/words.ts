// What was said about a claim, in plain words. Pure. Shown are ids, codes and times of ours; what people wrote is masked.
import { maskedText } from '../../services/common/mask.ts'
import { momentText } from '../operating/times.ts'
import type { Told } from './told.ts'

type Data = Told['data']

/** A field that is a word or a number; `?` where it is not there. */
export function text (data: Data | undefined, field: string, otherwise = '?'): string {
  const value = data?.[field]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise
}
const time = (data: Data, field: string): string => typeof data[field] === 'string' ? momentText(data[field]) : 'an unknown time'

const STEP_WORDS: Readonly<Record<string, string>> = {
  queued: 'took it in hand', account: 'makes the account on the panel, or finds it', port: 'looks for a free port', create: 'has the panel make the server', install: 'waits for the installation', probe: 'waits until the server answers',
}
const NOTICE_WORDS: Readonly<Record<string, string>> = {
  login: 'the login', failed: 'that it failed', leave_warning: 'the warning', deletion_cancelled: 'that the server stays', deleted: 'that the server is gone',
}
export const REASON_WORDS: Readonly<Record<string, string>> = {
  roster_unknown: 'nobody can tell who is in the group', brake: 'the brake is on', pace: 'others have their turn first', outage: 'its time had passed while we were away', creating: 'the server is still being made', claim_store_away: 'claim-store did not answer',
}
const CANCELLED_WORDS: Readonly<Record<string, string>> = { returned: 'the member came back', present: 'the member is in the group', operator: 'an operator wanted it' }
const MOVED_WORDS: Readonly<Record<string, string>> = { hold: 'holds the deletion until', release: 'no longer holds the deletion, due', extend: 'moved the deletion to' }

const notice = (data: Data): string => NOTICE_WORDS[text(data, 'kind')] ?? text(data, 'kind')

function scheduled (data: Data): string {
  const due = time(data, 'deletion_scheduled_at')
  const [reason, operation] = [text(data, 'reason'), text(data, 'operation')]
  if (reason === 'left') return `the member left at ${time(data, 'left_at')}: the server goes at ${due}`
  if (reason === 'outage') return `the server goes at ${due} instead: ${REASON_WORDS['outage']}, so the member is warned anew`
  if (operation === 'delete') return `the server goes now, on an operator's word${data['even_if_present'] === true ? ', whoever is in the group' : ''}`
  return `${MOVED_WORDS[operation] ?? 'moved the deletion to'} ${due}, on an operator's word`
}

function acted (data: Data): string {
  const detail = data['detail'] === undefined ? '' : ` (${text(data, 'detail')})`
  return maskedText(`${text(data, 'by')} asked ${text(data, 'service')} for ${text(data, 'operation')}${detail}: ${text(data, 'outcome', 'no outcome yet')}; “${text(data, 'why')}”`)
}

/** Of every event of the catalogue by its name, and of what told.ts adds. */
export const WORDS: Readonly<Record<string, (data: Data) => string>> = {
  'claim.requested': (data) => `took the claim: ${text(data, 'template')}, version ${text(data, 'template_version')}`,
  'claim.activated': (data) => `it is active: server ${text(data, 'server_id')} answers`,
  'claim.failed': (data) => `it failed: ${text(data, 'code')} at the step ${text(data, 'step')}`,
  'claim.deletion_scheduled': scheduled,
  'claim.deletion_cancelled': (data) => `the server stays: ${CANCELLED_WORDS[text(data, 'reason')] ?? text(data, 'reason')}`,
  'claim.deletion_started': (data) => `has server ${text(data, 'server_id')} deleted; from here there is no way back`,
  'claim.deleted': (data) => `it is over: the server is gone${data['user_deleted'] === false ? '; the account owns something else and stays' : ''}`,
  'claim.erased': () => 'the member is forgotten',
  'claim.restored': (data) => `the ledger was made anew from the book, where this claim was ${text(data, 'status')}`,
  'server.progressed': (data) => `${STEP_WORDS[text(data, 'step')] ?? text(data, 'step')}${Number(data['attempt']) > 1 ? ` (server ${text(data, 'attempt')})` : ''}`,
  'server.ready': (data) => `server ${text(data, 'server_id')} is installed and answers`,
  'server.failed': (data) => `gave up at the step ${text(data, 'step')}: ${text(data, 'code')}; nothing of it is left on the panel`,
  'server.deleted': (data) => `the panel no longer has the server${data['user_deleted'] === false ? '; the account stays' : ', nor the account'}`,
  'member.joined': (data) => data['observed_by'] === 'webhook' ? 'an outside bot saw the member come' : 'the group shows the member again',
  'member.left': (data) => data['observed_by'] === 'webhook' ? 'an outside bot saw the member leave' : 'the group no longer shows the member',
  'deletion.pending': (data) => `is to be woken at ${time(data, 'due_at')}`,
  'deletion.due': () => 'woke the reaper',
  'deletion.confirmed': (data) => data['even_if_present'] === true ? 'confirmed the deletion without a look at the group, as was ordered' : `confirmed the deletion: the member was not in the group at ${time(data, 'absent_at')}`,
  'deletion.refuted': () => 'did not confirm the deletion: the member is in the group',
  'deletion.postponed': (data) => `looks again at ${time(data, 'until')}: ${REASON_WORDS[text(data, 'reason')] ?? text(data, 'reason')}`,
  'deletion.unscheduled': () => 'took the wake-up away',
  'message.outbound': (data) => `wrote to the member: ${notice(data)}`,
  'message.delivered': (data) => `WhatsApp took ${notice(data)}`,
  'message.undeliverable': (data) => `WhatsApp did not take ${notice(data)}: ${text(data, 'code')}`,
  dead_letter: (data) => data['consumer'] === undefined ? 'wrote a dead letter that is none of ours' : `gave up on ${kindOf(text(data, 'subject'))} after ${text(data, 'deliveries')} tries: ${text(data, 'reason')}`,
  unknown: () => 'wrote what is no event of ours',
}

/** The subject without ids: `claims … requested`. */
const kindOf = (subject: string): string => subject.split('.').filter((token) => /^[a-z_]{1,19}$/.test(token)).join(' ')

export function wordsOf ({ event, data }: Pick<Told, 'event' | 'data'>): string {
  if (event.startsWith('operator.acted.')) return acted(data)
  return (WORDS[event] ?? (() => event))(data)
}
