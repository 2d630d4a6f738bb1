// What an operator sees of a message: the fields that say what it is about. Everything else may be a number, a sealed password or what somebody
// wrote, and so is anything in a field that does not hold what its schema promises.
import type { TSchema } from 'typebox'
import { EVENTS } from '../../contracts/catalog.ts'
import { validatorOf } from '../../services/common/envelope.ts'

const SHOWN = new Set([
  'claim_id', 'member_id', 'delete_job_id', 'user_id', 'server_id', 'allocation_id', 'template', 'template_version', 'language', 'code', 'step', 'kind', 'reason', 'attempt', 'observed_by',
  'occurred_at', 'left_at', 'deletion_scheduled_at', 'due_at', 'until', 'absent_at', 'present_at', 'moved_at', 'moved_sequence', 'user_deleted',
])
/** A phone number has more digits. */
const SHOWN_NUMBER_MAX = 9_999_999
const HIDDEN = '[hidden]'

/** As JSON text. */
export function maskedBody (type: string, data: Uint8Array): string {
  const body = parsed(data)
  if (body === undefined) return `${HIDDEN}: ${data.length} bytes that are no JSON object`
  const properties = EVENTS.find((event) => event.type === type)?.data.properties as Record<string, TSchema> | undefined
  const isShown = (name: string, value: unknown): boolean => {
    const schema = properties?.[name]
    return schema !== undefined && SHOWN.has(name) && validatorOf(schema).Check(value) && (typeof value !== 'number' || value <= SHOWN_NUMBER_MAX)
  }
  const names = Object.keys(body)
  const known = names.filter((name) => properties?.[name] !== undefined)
  const shown = Object.fromEntries(known.map((name) => [name, isShown(name, body[name]) ? body[name] : HIDDEN]))
  // A name that no schema has may itself be what is to be hidden.
  return JSON.stringify(names.length > known.length ? { ...shown, [`${names.length - known.length} unknown fields`]: HIDDEN } : shown, undefined, 2)
}

/** All of it, still unable to steer a terminal. */
export function revealedBody (data: Uint8Array): string {
  return JSON.stringify(parsed(data) ?? new TextDecoder().decode(data), undefined, 2).replace(/[\u007f-\u009f]/g, '?')
}

function parsed (data: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}
