/** Faults that can be switched on while the double runs. */

/** `remaining` counts down with each use; -1 is for ever. */
export interface Refusal { code: number, remaining: number }

export interface Knobs {
  /** The next sends are answered with this error (463 for instance) and not delivered. */
  refuseSends: Refusal | null
  /** 463 for people who never wrote to the bot. */
  refuseColdSends: boolean
  /** 463 for messages without the token that the person gave by writing to the bot. */
  requireTokens: boolean
  /** 463 for messages addressed to a phone number instead of a LID. */
  refusePhoneNumberSends: boolean
  /** The reach-out lock of the account: cold sends get 463, and the lock query says so. Unix seconds of its end. */
  restrictedUntil: number | null
  /** false: sends are delivered, and never acknowledged. */
  acks: boolean
  ackDelayMs: number
  /** The next messages cut the connection: before the server took them (lost), or after (delivered, acknowledgement lost). */
  cut: { when: 'before-accepting' | 'before-ack', remaining: number } | null
  deliveryReceipts: boolean
  readReceipts: boolean
  receiptDelayMs: number
  /** So many next copies for members cannot be read: the device asks for a retry. */
  unreadable: number
  /** Group queries fail with 403, 404 or 429. */
  groupQueryError: Refusal | null
  /** Group queries show only so many participants; 0 is an empty roster. */
  rosterLimit: number | null
  /** Queries about numbers and devices fail. */
  usyncError: Refusal | null
  /** The connection stays open, but queries (except pings), or everything, remain unanswered. */
  deaf: 'no' | 'queries' | 'everything'
  /** Group notifications: sent; kept for the next login; never sent. */
  notifications: 'send' | 'hold' | 'lose'
  answerDelayMs: number
  /** The next logins fail with this code. */
  loginError: Refusal | null
  /** Linking asks for a refreshed registration first, as the server does since July 2026 (companion_reg_refresh). */
  registrationRefresh: boolean
  /** Linking asks for a passkey, which Baileys cannot give. */
  passkey: boolean
}

export const defaultKnobs: Readonly<Knobs> = Object.freeze({
  refuseSends: null, refuseColdSends: false, requireTokens: false, refusePhoneNumberSends: false, restrictedUntil: null, acks: true, ackDelayMs: 0, cut: null,
  deliveryReceipts: true, readReceipts: false, receiptDelayMs: 0, unreadable: 0, groupQueryError: null, rosterLimit: null, usyncError: null,
  deaf: 'no', notifications: 'send', answerDelayMs: 0, loginError: null, registrationRefresh: false, passkey: false
} satisfies Knobs)

/** Takes one use of a countdown; undefined when it is off or spent. */
export function take<T extends { remaining: number }> (knob: T | null): T | undefined {
  if (!knob || knob.remaining === 0) return undefined
  if (knob.remaining > 0) knob.remaining--
  return knob
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0
const isRefusal = (value: unknown) => value === null || (has(value, 'code') && isCount(value.code) && isRemaining(value))
const isRemaining = (value: unknown) => has(value, 'remaining') && (value.remaining === -1 || isCount(value.remaining))
const isBoolean = (value: unknown) => typeof value === 'boolean'
const isDelay = (value: unknown) => isCount(value) && Number(value) <= 600_000
const oneOf = (...values: unknown[]) => (value: unknown) => values.includes(value)

function has<K extends string> (value: unknown, key: K): value is Record<K, unknown> {
  return typeof value === 'object' && value !== null && key in value
}

const checks = {
  refuseSends: isRefusal, groupQueryError: isRefusal, usyncError: isRefusal, loginError: isRefusal,
  refuseColdSends: isBoolean, requireTokens: isBoolean, refusePhoneNumberSends: isBoolean, acks: isBoolean, deliveryReceipts: isBoolean, readReceipts: isBoolean,
  registrationRefresh: isBoolean, passkey: isBoolean,
  ackDelayMs: isDelay, receiptDelayMs: isDelay, answerDelayMs: isDelay, unreadable: isCount,
  restrictedUntil: (value) => value === null || isCount(value), rosterLimit: (value) => value === null || isCount(value),
  cut: (value) => value === null || (has(value, 'when') && oneOf('before-accepting', 'before-ack')(value.when) && isRemaining(value)),
  deaf: oneOf('no', 'queries', 'everything'), notifications: oneOf('send', 'hold', 'lose')
} satisfies Record<keyof Knobs, (value: unknown) => boolean>
const checkByName = new Map<string, (value: unknown) => boolean>(Object.entries(checks))

/** Changes the named knobs; throws with the name of the first one that is unknown or has a wrong value. */
export function turn (knobs: Knobs, wanted: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(wanted)) {
    if (!checkByName.get(name)?.(value)) throw new Error(`no such knob, or a wrong value: ${name}`)
  }
  Object.assign(knobs, wanted)
}
