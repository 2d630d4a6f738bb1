// The words that people read, without any I/O, so that services, the bot and a page in a browser say the same.
import { CLAIM_STATUSES, FAILURE_CODES, HTTP_CODES, WEBHOOK_CODES, STEPS } from '../../contracts/codes.ts'
import type { Language } from '../../contracts/ids.ts'
import { fill, placeholdersOf, type PhraseValues } from './fill.ts'

export { placeholdersOf, type PhraseValues } from './fill.ts'
export { wib } from './wib.ts'

export const LANGUAGES: readonly Language[] = ['id', 'en']

/** `<area>.<key>` → the words, with `{name}` where a value goes. */
export type Phrases = ReadonlyMap<string, string>

export interface Messages {
  /**
   * The words of `<area>.<key>` in a language, every `{name}` replaced by the value of that name. Values are taken as they are: one that
   * looks like a placeholder stays. Throws where there is no such key or a value is missing; both are bugs, and both name the key only.
   */
  say (language: Language, key: string, values?: PhraseValues): string
  has (key: string): boolean
}

/** Throws one error that names everything that is wrong: keys or placeholders that only one language has, and codes without words. */
export function createMessages (phrases: Readonly<Record<Language, Phrases>>): Messages {
  const problems = problemsOf(phrases)
  if (problems.length > 0) throw new Error(`the messages are not complete\n  ${problems.join('\n  ')}`)
  return {
    say: (language, key, values = {}) => {
      const text = phrases[language].get(key)
      if (text === undefined) throw new Error(`there are no words for ${key}`)
      return fill(text, values, key)
    },
    has: (key) => phrases.id.has(key),
  }
}

/** Every code and step that the contracts know must have words before anything starts. */
const REQUIRED: readonly string[] = [
  ...[...Object.keys(HTTP_CODES), ...Object.keys(WEBHOOK_CODES)].map((code) => `errors.${code}`),
  ...FAILURE_CODES.map((code) => `failures.${code}`),
  ...STEPS.map((step) => `steps.${step}`),
  ...CLAIM_STATUSES.map((status) => `statuses.${status}`),
]

function problemsOf (phrases: Readonly<Record<Language, Phrases>>): string[] {
  const problems: string[] = []
  const keys = new Set([...LANGUAGES.flatMap((language) => [...phrases[language].keys()]), ...REQUIRED])
  for (const key of [...keys].toSorted()) {
    const missing = LANGUAGES.filter((language) => !phrases[language].has(key))
    for (const language of missing) problems.push(`${language} has no ${key}`)
    if (missing.length > 0) continue
    const [first = '', second = ''] = LANGUAGES.map((language) => placeholdersOf(phrases[language].get(key) ?? '').join(', '))
    if (first !== second) problems.push(`${key} takes {${first}} in ${LANGUAGES[0]} and {${second}} in ${LANGUAGES[1]}`)
    for (const language of LANGUAGES) if (phrases[language].get(key)?.trim() === '') problems.push(`${language} has an empty ${key}`)
  }
  return problems
}
