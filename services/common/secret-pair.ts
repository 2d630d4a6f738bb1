// A secret that two sides share, and cannot change at the same moment: while it is changed there are two by comma. Who checks takes either;
// who sends, sends the first.
import { hash, timingSafeEqual } from 'node:crypto'
import { Type, type TString } from 'typebox'

const LENGTH_MAX = 256

/** One secret of at least `lengthMin` characters, or two by comma. */
export const secretPair = (lengthMin: number): TString =>
  Type.String({ pattern: `^[^\\s,]{${lengthMin},${LENGTH_MAX}}( *, *[^\\s,]{${lengthMin},${LENGTH_MAX}})?$` })

export const secretsOf = (pair: string): readonly string[] => pair.split(',').map((secret) => secret.trim())

export const firstOf = (pair: string): string => secretsOf(pair)[0] ?? ''

/**
 * Whether a text is one of the secrets. Digests are compared, and every one of them, so that neither the content nor the length of a secret,
 * nor which of them fitted, shows in the time it takes.
 */
export function isOneOf (pair: string): (given: string) => boolean {
  const expected = secretsOf(pair).map(digest)
  return (given) => {
    const its = digest(given)
    return expected.filter((each) => timingSafeEqual(its, each)).length > 0
  }
}

const digest = (text: string): Buffer => hash('sha256', text, 'buffer')
