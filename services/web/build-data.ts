// What a page is built with: words, schemas, steps and offers, as plain values. Runs when the page is exported, never in a browser.
import { join } from 'node:path'
import { STEPS } from '../../contracts/codes.ts'
import { ClaimForm } from '../../contracts/http.ts'
import type { Language } from '../../contracts/ids.ts'
import { loadPhrases } from '../common/messages.ts'
import { loadTemplates } from '../common/templates.ts'
import type { TextSchema } from './validation.ts'
import type { PageData } from './words.ts'

const WORDS_FROM_ELSEWHERE = ['errors.INVALID_PHONE', 'errors.INVALID_USERNAME', 'errors.INVALID_TEMPLATE', 'errors.NOT_FOUND', 'errors.INTERNAL', 'statuses.creating', 'statuses.late']

/** `root` is the repository. */
export function pageDataOf (language: Language, root: string, gatewayUrl: string): PageData {
  const phrases = loadPhrases(join(root, 'config/messages'))[language]
  const { wa_number_e164, username } = ClaimForm.properties
  return {
    language, gatewayUrl,
    words: Object.fromEntries([...phrases].filter(([key]) => key.startsWith('page.') || WORDS_FROM_ELSEWHERE.includes(key))),
    schemas: { wa_number_e164: textSchema(wa_number_e164), username: textSchema(username) },
    steps: [...STEPS, 'done'],
    offers: [...loadTemplates(join(root, 'config/templates.json')).values()].map(({ name, definition: { title, description } }) => ({ name, title: title[language], description: description[language] })),
  }
}

/** A schema as the JSON that it is, without what TypeBox keeps beside it. */
function textSchema (schema: object): TextSchema {
  return JSON.parse(JSON.stringify(schema)) as TextSchema
}
