// Phone numbers as people type them, made fit for a parser. Pure and without metadata: the gateway judges with all that is known about
// numbers, the page with as little as is quickly loaded.
const LENGTH_MAX = 32
/** A number copied from a contact brings invisible direction marks, and phones write spaces and dashes of many kinds. */
const INVISIBLE = /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g
const ALLOWED = /^\+?[\d\s().\-/]+$/

/** Digits, spaces, dashes, dots and parentheses with `+` for an international prefix; undefined where it cannot be a number at all. */
export function typedNumber (typed: string): string | undefined {
  if (typed.length > LENGTH_MAX * 2) return undefined
  const text = typed.normalize('NFKC').replace(INVISIBLE, '').replace(/\p{Pd}/gu, '-').trim()
  if (text.length > LENGTH_MAX || !ALLOWED.test(text)) return undefined
  return text.replace(/^00/, '+')
}
