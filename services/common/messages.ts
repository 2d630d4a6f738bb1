// Reads config/messages: one directory per language, one JSON file per area (errors, failures, steps, statuses, notices, chat, page).
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Language } from '../../contracts/ids.ts'
import { createMessages, LANGUAGES, type Messages, type Phrases } from './phrases.ts'

export { wib, type Messages } from './phrases.ts'

const FILE_BYTES_MAX = 256 * 1024

/**
 * Reads `<dir>/<language>/<area>.json`; the key of an entry is `<area>.<name>`. An entry is a text, or a list of lines. Throws an error
 * that names the file that cannot be used, or every key that is not the same in all languages.
 */
export function loadMessages (dir: string): Messages {
  return createMessages(loadPhrases(dir))
}

/** The same words as they stand in the files. */
export function loadPhrases (dir: string): Record<Language, Phrases> {
  return Object.fromEntries(LANGUAGES.map((language) => [language, phrasesOf(join(dir, language))])) as Record<Language, Phrases>
}

function phrasesOf (dir: string): Phrases {
  const phrases = new Map<string, string>()
  for (const file of readdirSync(dir).filter((name) => name.endsWith('.json')).toSorted()) {
    for (const [name, text] of entriesOf(join(dir, file))) phrases.set(`${file.slice(0, -'.json'.length)}.${name}`, text)
  }
  return phrases
}

function entriesOf (path: string): Array<[string, string]> {
  const content = readFileSync(path, 'utf8')
  if (content.length > FILE_BYTES_MAX) throw new Error(`${path} is too large`)
  let entries: unknown
  try {
    entries = JSON.parse(content)
  } catch (error) {
    throw new Error(`${path} is not JSON`, { cause: error })
  }
  if (typeof entries !== 'object' || entries === null || Array.isArray(entries)) throw new Error(`${path} does not hold an object`)
  return Object.entries(entries).map(([name, value]: [string, unknown]) => {
    if (typeof value === 'string') return [name, value]
    if (Array.isArray(value) && value.every((line) => typeof line === 'string')) return [name, value.join('\n')]
    throw new Error(`${path}: ${name} is neither a text nor a list of lines`)
  })
}
