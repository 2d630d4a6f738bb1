// What earlier versions said is understood now, and what is said now they understand: during a rollout, and after one that is taken back, both are there.
// The rules are those of docs/rollout.md.
import t from 'tap'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { Compile } from 'typebox/compile'
import { Type } from 'typebox'
import { EVENTS, REQUESTS } from '../catalog.ts'
import { plain, type Recorded, type Schema } from './record.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const versions = globSync('contracts/recorded/*.json', { cwd: ROOT }).map((path) => JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Recorded)

/** Events and questions that no version in use says any more, and that no stream holds: what contracting took away. */
const GONE: readonly string[] = []
/** Where a schema is another than recorded and may be, with the reason. */
const ALLOWED: Readonly<Record<string, string>> = {}

const isObject = (schema: unknown): schema is Schema & { readonly properties: Readonly<Record<string, Schema>>, readonly required?: readonly string[] } => (schema as Schema | undefined)?.['type'] === 'object' && 'properties' in (schema as Schema)

/** Where `now` is more than `before` with optional fields added, in words. */
function differences (before: Schema, now: Schema | undefined, at: string): string[] {
  if (isDeepStrictEqual(before, now)) return []
  if (now === undefined) return [`${at} is gone`]
  const [choices, choicesNow] = [before['anyOf'], now['anyOf']] as ReadonlyArray<readonly Schema[] | undefined>
  if (choices !== undefined && choices.length === choicesNow?.length) return choices.flatMap((each, n) => differences(each, choicesNow[n], `${at}|${n}`))
  if (before['type'] === 'array' && now['type'] === 'array') return differences(before['items'] as Schema, now['items'] as Schema, `${at}[]`)
  if (!isObject(before) || !isObject(now)) return [`${at} is another`]
  const { properties, required = [], ...rest } = before
  const { properties: propertiesNow, required: requiredNow = [], ...restNow } = now
  return [
    ...(isDeepStrictEqual(rest, restNow) ? [] : [`${at} is another`]),
    ...required.filter((name) => !requiredNow.includes(name)).map((name) => `${at}.${name} may be absent now, and was needed`),
    ...requiredNow.filter((name) => !required.includes(name)).map((name) => `${at}.${name} is needed now, and may have been absent`),
    ...Object.entries(properties).flatMap(([name, schema]) => differences(schema, propertiesNow[name], `${at}.${name}`)),
  ]
}

t.ok(versions.length > 0, 'there are versions to hold this one to')
for (const { tag, events, requests } of versions) {
  t.test(`what ${tag} said is understood`, async (t) => {
    for (const [type, { stream, subject, examples }] of Object.entries(events).filter(([type]) => !GONE.includes(type))) {
      const now = EVENTS.find((event) => event.type === type)
      t.same([now?.stream, now?.subject], [stream, subject], `${type} stands where it stood`)
      if (now) for (const example of examples) t.ok(Compile(now.data).Check(example), `${type}: an event of that version can be read`)
    }
    t.ok(Object.values(events).flatMap(({ examples }) => examples).length > 15, 'there were events to read')
  })

  t.test(`${tag} and this version understand each other`, async (t) => {
    const found = [
      ...Object.entries(events).flatMap(([type, { data }]) => differences(data, plain(EVENTS.find((event) => event.type === type)?.data ?? null) ?? undefined, type)),
      ...Object.entries(requests).flatMap(([subject, { question, answer }]) => {
        const now = REQUESTS.find((request) => request.subject === subject)
        return [...differences(question, now && plain(now.question), `${subject}?`), ...differences(answer, now && plain(now.answer), `${subject}!`)]
      }),
    ].filter((each) => !GONE.some((gone) => each.startsWith(gone)) && !Object.keys(ALLOWED).includes(each))
    t.same(found, [], 'nothing but optional fields was added')
  })
}

t.test('the rule itself', async (t) => {
  const before = Type.Object({ a: Type.String(), b: Type.Optional(Type.Integer()), c: Type.Array(Type.Object({ d: Type.Literal('x') })) })
  const of = (now: unknown): string[] => differences(plain(before), plain(now), '')
  t.same(of(before), [])
  t.same(of(Type.Object({ ...before.properties, e: Type.Optional(Type.String()) })), [], 'an optional field may come')
  t.same(of(Type.Object({ ...before.properties, e: Type.String() })), ['.e is needed now, and may have been absent'])
  t.same(of(Type.Object({ ...before.properties, a: Type.Optional(Type.String()) })), ['.a may be absent now, and was needed'])
  t.same(of(Type.Object({ a: Type.String(), c: before.properties.c })), ['.b is gone'])
  t.same(of(Type.Object({ ...before.properties, c: Type.Array(Type.Object({ d: Type.Union([Type.Literal('x'), Type.Literal('y')]) })) })), ['.c[].d is another'], 'a word that was not there before is a change')
  t.same(of(Type.Object(before.properties, { additionalProperties: false })), [' is another'])
})
