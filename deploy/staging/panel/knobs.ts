/** What a test or a demo can turn while the double runs. All times in milliseconds. */
import { isFields } from './json.ts'
import type { Fields } from './json.ts'

/** `hang` answers after `ms`, or never if the panel's own timeout comes first. */
export type WingsMode = { kind: 'ok' } | { kind: 'refuse' } | { kind: 'hang', ms: number } | { kind: 'status', status: number }
export type WingsCall = 'create' | 'delete' | 'sync' | 'reinstall'

export interface WingsKnobs {
  mode: WingsMode
  /** A mode for one kind of call, before `mode`. */
  create: WingsMode | null
  delete: WingsMode | null
  sync: WingsMode | null
  reinstall: WingsMode | null
  /** `never`: the call-back does not come, as when an image cannot be pulled. */
  install: 'success' | 'failure' | 'never'
  installDelayMs: number
  /** From the end of the install until the port listens; `startsUp: false` for a server that never does. */
  startDelayMs: number
  startsUp: boolean
}

/** Requests whose answer can be lost after they have been carried out. */
export const commits = ['userCreate', 'userUpdate', 'userDelete', 'serverCreate', 'serverUpdate', 'serverDelete', 'allocationCreate', 'allocationDelete'] as const
export type CommitKind = typeof commits[number]

export interface Knobs {
  workers: number
  guzzleTimeoutMs: number
  rateLimit: number
  rateWindowMs: number
  /** Between the request's validation and the model's: who loses here gets 500 DataValidationException. */
  raceWindowMs: number
  /** Between the model's validation and the insert: who loses here gets 500 UniqueConstraintViolationException, and users with the same external_id double. */
  insertWindowMs: number
  /** Work of bcrypt in each user create and each password change. */
  passwordHashMs: number
  /** How long every request keeps its worker before it is looked at. With 0, creates are over too fast to starve one another. */
  latencyMs: number
  maintenance: boolean
  /** The mail queue is down: POST /users answers 500 although the user exists. */
  mailFault: boolean
  twoFactorRequired: boolean
  debug: boolean
  /** How many of the next requests of a kind lose their answer: the connection is cut after the commit. */
  dropAfterCommit: Record<CommitKind, number>
  /** How many of the next requests of a route (`POST /servers`, `GET /users/{user}`, or `*`) get this status from the web server instead, unread by the panel. */
  answerNext: Array<{ route: string, status: number, times: number }>
}

export const defaultKnobs = (): Knobs => ({
  workers: 8,
  guzzleTimeoutMs: 15_000,
  rateLimit: 240,
  rateWindowMs: 60_000,
  raceWindowMs: 0,
  insertWindowMs: 0,
  passwordHashMs: 0,
  latencyMs: 0,
  maintenance: false,
  mailFault: false,
  twoFactorRequired: false,
  debug: false,
  dropAfterCommit: Object.fromEntries(commits.map(kind => [kind, 0])) as Record<CommitKind, number>,
  answerNext: []
})

export const defaultWingsKnobs = (): WingsKnobs => ({
  mode: { kind: 'ok' },
  create: null,
  delete: null,
  sync: null,
  reinstall: null,
  install: 'success',
  installDelayMs: 0,
  startDelayMs: 0,
  startsUp: true
})

/** Takes over known knobs of the right type, and throws with the name of the first one that is not. */
export function turn (target: object, wanted: unknown): void {
  const knobs = target as Fields
  if (!isFields(wanted)) throw new Error('PANEL_DOUBLE_KNOBS_INVALID')
  for (const [name, value] of Object.entries(wanted)) {
    if (!Object.hasOwn(knobs, name)) throw new Error(`PANEL_DOUBLE_KNOB_UNKNOWN: ${name}`)
    const known = knobs[name]
    if (name === 'dropAfterCommit') turn(known as object, value)
    else if (!isRightType(name, known, value)) throw new Error(`PANEL_DOUBLE_KNOB_INVALID: ${name}`)
    else knobs[name] = value
  }
}

function isRightType (name: string, known: unknown, value: unknown): boolean {
  if (name === 'answerNext') return Array.isArray(value) && value.every(one => isFields(one) && typeof one.route === 'string' && typeof one.status === 'number' && typeof one.times === 'number')
  if (name === 'mode') return isMode(value)
  if (['create', 'delete', 'sync', 'reinstall'].includes(name)) return value === null || isMode(value)
  if (name === 'install') return ['success', 'failure', 'never'].includes(value as string)
  if (typeof known === 'number') return typeof value === 'number' && value >= 0
  return typeof value === typeof known
}

function isMode (value: unknown): boolean {
  if (!isFields(value)) return false
  switch (value.kind) {
    case 'ok': case 'refuse': return true
    case 'hang': return typeof value.ms === 'number' && value.ms >= 0
    case 'status': return Number.isInteger(value.status) && (value.status as number) >= 200 && (value.status as number) <= 599
    default: return false
  }
}
