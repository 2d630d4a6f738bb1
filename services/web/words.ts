import type { Language } from '../../contracts/ids.ts'
import { fill, type PhraseValues } from '../common/fill.ts'
import type { FormSchemas } from './validation.ts'

export interface Offer { readonly name: string, readonly title: string, readonly description: string }

export interface PageData {
  readonly language: Language
  /** '' where the gateway serves the page itself. */
  readonly gatewayUrl: string
  readonly words: Readonly<Record<string, string>>
  readonly schemas: FormSchemas
  /** Names of the steps in order, `done` at their end. */
  readonly steps: readonly string[]
  readonly offers: readonly Offer[]
}

/** Words of the page by key; `page.` goes without saying. Throws where there are none: a bug, which the tests of this directory look for. */
export type Say = (key: string, values?: PhraseValues) => string

export function sayOf (words: Readonly<Record<string, string>>): Say {
  return (key, values = {}) => {
    const text = words[key.includes('.') ? key : `page.${key}`]
    if (text === undefined) throw new Error(`there are no words for ${key}`)
    return fill(text, values, key)
  }
}
