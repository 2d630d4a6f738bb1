// What a command may be told, as values: how it is written, what it means, and how its text becomes a value. Whoever gives something else is told so.
import { BY_LENGTH_MAX, WHY_LENGTH_MAX } from '../../contracts/events/operations.ts'

/** It was called wrongly; the message says how, and never quotes what may be a number. */
export class CalledWrongly extends Error { override readonly name = 'CalledWrongly' }

export interface Option<Value = unknown> {
  /** What stands for its value in the help; undefined: it takes none. */
  readonly takes: string | undefined
  readonly says: string
  readonly isRequired: boolean
  /** `undefined` where it was not given. Throws CalledWrongly, whose message begins behind the option's name. */
  readonly read: (given: string | boolean | undefined) => Value
}
export type Options = Readonly<Record<string, Option>>
export type Values<Given extends Options> = { readonly [Name in keyof Given]: Given[Name] extends Option<infer Value> ? Value : never }

export const flag = (says: string): Option<boolean> => ({ takes: undefined, says, isRequired: false, read: (given) => given === true })

/** `parse` answers undefined where the text is none of these. */
export interface Kind<Value> { readonly takes: string, readonly is: string, readonly parse: (text: string) => Value | undefined }

export function optional<Value> ({ takes, is, parse }: Kind<Value>, says: string): Option<Value | undefined> {
  return { takes, says, isRequired: false, read: (given) => typeof given === 'string' ? parsed(given) : undefined }
  function parsed (text: string): Value {
    const value = parse(text)
    if (value === undefined) throw new CalledWrongly(`has to be ${is}`)
    return value
  }
}

export function required<Value> (kind: Kind<Value>, says: string): Option<Value> {
  const { read, ...option } = optional(kind, says)
  return {
    ...option, isRequired: true,
    read: (given) => {
      const value = read(given)
      if (value === undefined) throw new CalledWrongly('is missing')
      return value
    },
  }
}

export function withDefault<Value> (kind: Kind<Value>, says: string, value: Value): Option<Value> {
  const option = optional(kind, says)
  return { ...option, read: (given) => option.read(given) ?? value }
}

export const integer = (min: number, max: number): Kind<number> => ({
  takes: '<n>', is: `a whole number from ${min} to ${max}`,
  parse: (text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
})

export const oneOf = <const Word extends string>(words: readonly Word[]): Kind<Word> => ({ takes: `<${words.join('|')}>`, is: `one of ${words.join(', ')}`, parse: (text) => words.find((word) => word === text) })

export const matching = (takes: string, is: string, pattern: RegExp): Kind<string> => ({ takes, is, parse: (text) => pattern.test(text) ? text : undefined })

export const sentence = (takes: string, max: number): Kind<string> => ({ takes, is: `a text of at most ${max} characters`, parse: (text) => text.trim() !== '' && text.length <= max ? text : undefined })

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
/** In milliseconds: 90s, 15m, 6h, 7d. */
export const duration = (minMs: number, maxMs: number): Kind<number> => ({
  takes: '<time>', is: `a time such as 90s, 15m, 6h or 7d, from ${durationText(minMs)} to ${durationText(maxMs)}`,
  parse: (text) => {
    const [, amount = '', unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? []
    const ms = Number(amount) * (UNITS[unit as keyof typeof UNITS] ?? Number.NaN)
    return ms >= minMs && ms <= maxMs ? ms : undefined
  },
})
function durationText (ms: number): string {
  const [unit, length] = Object.entries(UNITS).toReversed().find(([, length]) => ms % length === 0) ?? ['s', UNITS.s]
  return `${ms / length}${unit}`
}

export const json = { json: flag('an object a line, for programs') }
/** Who has it done: it stays on OPERATIONS, with the reason, for a year. */
export const by = { by: optional(sentence('<name>', BY_LENGTH_MAX), 'who wants it; the login name where absent') }
/** `how`: whether it can be left out. */
export const why = <Given extends Option<string | undefined>>(how: (kind: Kind<string>, says: string) => Given): { readonly why: Given } => ({ why: how(sentence('<text>', WHY_LENGTH_MAX), 'the reason; it stays on OPERATIONS for a year') })
/** Of all that changes something. */
export const change = { ...by, 'dry-run': flag('says what would come of it, and changes nothing'), ...json }
/** Of all that changes something and is not done without a reason. */
export const reasoned = { ...why(required), ...change }
