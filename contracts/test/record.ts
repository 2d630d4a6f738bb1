// Writes down what this version says and asks, so that the next ones can be held to it (compatibility.test.ts): node contracts/test/record.ts EVENTS
// EVENTS is a file of JSON lines, an event each as it stands on its stream: {"type": …, "data": …}; scripts/side-by-side writes one. Of each type the first,
// and the one with the most fields, are kept. Done once for each version that goes to members.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EVENTS, REQUESTS } from '../catalog.ts'

/** A JSON schema, as plain values. */
export type Schema = Readonly<Record<string, unknown>>
export interface Recorded {
  /** As its images are tagged. */
  readonly tag: string
  readonly events: Readonly<Record<string, { readonly stream: string, readonly subject: string, readonly data: Schema, readonly examples: readonly unknown[] }>>
  readonly requests: Readonly<Record<string, { readonly question: Schema, readonly answer: Schema }>>
}

const ROOT = resolve(import.meta.dirname, '../..')

/** Without what TypeBox keeps beside a schema. */
export const plain = (schema: unknown): Schema => JSON.parse(JSON.stringify(schema)) as Schema

function record (tag: string, lines: readonly string[]): Recorded {
  const said = lines.map((line) => JSON.parse(line) as { readonly type: string, readonly data: object })
  const examples = (type: string): unknown[] => {
    const own = said.filter((each) => each.type === type).map(({ data }) => data)
    const fullest = own.toSorted((one, other) => Object.keys(other).length - Object.keys(one).length)[0]
    return [...new Set([own[0], fullest])].filter((each) => each !== undefined)
  }
  return {
    tag,
    events: Object.fromEntries(EVENTS.map(({ type, stream, subject, data }) => [type, { stream, subject, data: plain(data), examples: examples(type) }])),
    requests: Object.fromEntries(REQUESTS.map(({ subject, question, answer }) => [subject, { question: plain(question), answer: plain(answer) }])),
  }
}

if (import.meta.main) {
  const [events = ''] = process.argv.slice(2)
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const tag = `${version}-${execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()}`
  mkdirSync(join(ROOT, 'contracts/recorded'), { recursive: true })
  const lines = readFileSync(events, 'utf8').split('\n').filter((line) => line !== '')
  writeFileSync(join(ROOT, 'contracts/recorded', `${tag}.json`), `${JSON.stringify(record(tag, lines), null, 1)}\n`)
}
