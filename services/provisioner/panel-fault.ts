// What an answer of the panel means. Its error code comes before its status: the panel passes Wings' status through, so a 404, 403 or 422
// may be a node's word about itself (panel 1.11.8, app/Exceptions/Http/Connection/DaemonConnectionException.php).
import { Fault, permanent, transient } from '../common/fault.ts'

export interface PanelError {
  readonly code: string
  readonly field: string | undefined
  readonly rule: string | undefined
  /** The panel does not know the route: then its 404 says nothing about what was asked for. It has no code of its own, only this text. */
  readonly isNoRoute?: boolean
}

export interface Answer {
  readonly kind: 'answer'
  readonly status: number
  readonly errors: readonly PanelError[]
  /** Parsed JSON; undefined where there was none. */
  readonly body: unknown
  readonly retryAfterMs: number | undefined
}
/** The call went out and nothing came back: it may have been carried out, or still be going on. */
export interface Lost { readonly kind: 'lost', readonly cause: unknown }

export const codeOfAnswer = (answer: Answer): string => answer.errors[0]?.code ?? ''
export const isNodeFault = (answer: Answer): boolean => codeOfAnswer(answer) === 'DaemonConnectionException'
/** The panel itself says that there is no such thing. A wrong PANEL_URL must not look as if every server were gone. */
export const isGone = (answer: Answer): boolean => answer.status === 404 && codeOfAnswer(answer) === 'NotFoundHttpException' && answer.errors[0]?.isNoRoute !== true
export const failsBy = (answer: Answer, field: string, rule: string): boolean => answer.status === 422 && answer.errors.some((error) => error.field === field && error.rule === rule)

/** The fault behind an answer that is none of those the caller expects. Names fields and rules, never values. */
export function faultOf (answer: Answer | Lost): Fault {
  if (answer.kind === 'lost') return transient('PANEL_DOWN', 'the answer of the panel was lost', { cause: answer.cause })
  const { status, retryAfterMs } = answer
  const code = codeOfAnswer(answer)
  if (code === 'DaemonConnectionException') return transient('NODE_DOWN', `a node does not do its work (${status})`)
  if (status === 401 || status === 403 || code === 'TwoFactorAuthRequiredException') return transient('PANEL_KEY_REFUSED', `the panel refuses our key (${status} ${code})`)
  if (status === 429) return transient('PANEL_RATE_LIMITED', 'the panel asks us to wait', { retryAfterMs: retryAfterMs ?? 60_000 })
  if (status >= 500) return transient('PANEL_DOWN', `the panel is in trouble (${status} ${code})`)
  if (status >= 300 && status < 400) return transient('PANEL_DOWN', `the panel redirects (${status}): PANEL_URL must be its final address`)
  if (status === 404 && !isGone(answer)) return transient('PANEL_DOWN', 'what answers is not the panel: PANEL_URL must be its address')
  if (status < 300) return transient('PANEL_DOWN', `the panel answered ${status} with something unreadable`)
  const fields = answer.errors.flatMap(({ field, rule }) => field === undefined ? [] : [`${field} ${rule ?? ''}`]).slice(0, 8)
  return permanent('PANEL_REFUSED', `the panel refuses the call (${status} ${code}) ${fields.join(', ')}`.trim())
}

/**
 * What the panel's words look like where they are its own: a class, a field, a rule (measured on 1.11.8). They go into our log, and a panel
 * may quote what it was asked, password and number included, so nothing else is kept of what it says.
 */
const CLASS = /^[A-Z][A-Za-z]{1,60}$/
const FIELD = /^[a-z_]{1,40}(\.([a-z_]{1,40}|[A-Z_][A-Z0-9_]{0,60}|\d{1,3})){0,3}$/
const RULE = /^[a-z_]{1,40}$/

/** `errors` of a body, read leniently: with debugging on each carries much more. */
export function errorsOf (body: unknown): PanelError[] {
  const errors = (body as { errors?: unknown } | null | undefined)?.errors
  if (!Array.isArray(errors)) return []
  return errors.slice(0, 100).map((error: { code?: unknown, detail?: unknown, meta?: { source_field?: unknown, rule?: unknown } } | null) => ({
    code: word(error?.code, CLASS) ?? '', field: word(error?.meta?.source_field, FIELD), rule: word(error?.meta?.rule, RULE),
    ...(typeof error?.detail === 'string' && error.detail.startsWith('The route ') ? { isNoRoute: true } : {}),
  }))
}

const word = (value: unknown, form: RegExp): string | undefined => typeof value === 'string' && form.test(value) ? value : undefined

export type CreateOutcome = 'created' | 'port_taken' | 'exists' | 'user_gone' | 'invalid' | 'node_down' | 'raced' | 'lost' | 'other'

/** What became of a POST /servers, by the panel's measured answers. */
export function createOutcomeOf (answer: Answer | Lost): CreateOutcome {
  if (answer.kind === 'lost') return 'lost'
  const code = codeOfAnswer(answer)
  if (answer.status === 201) return 'created'
  if (code === 'DaemonConnectionException') return 'node_down'
  if (answer.status === 422) {
    const fields = new Set(answer.errors.map(({ field }) => field))
    // Whatever else is wrong, a server of this claim that exists is the answer.
    if (failsBy(answer, 'external_id', 'unique')) return 'exists'
    if ([...fields].every((field) => field === 'allocation.default' || field === 'user')) return failsBy(answer, 'user', 'exists') ? 'user_gone' : 'port_taken'
    return 'invalid'
  }
  if (code === 'DataValidationException' || code === 'UniqueConstraintViolationException') return 'raced'
  return answer.status >= 500 && answer.status !== 503 ? 'lost' : 'other'
}
