import t from 'tap'
import fc from 'fast-check'
import { Compile } from 'typebox/compile'
import type { TSchema } from 'typebox'
import { EVENTS, REQUESTS } from '../catalog.ts'
import { subjectFilter, subjectOf } from '../define.ts'
import { deadSubject } from '../events/dead-letters.ts'
import { pendingSubject } from '../events/deletions.ts'
import { BUCKETS, CONSUMERS, STREAMS } from '../streams.ts'

/** NATS's own rule: `*` is one token, `>` is all that follow. */
function isCaptured (subject: string, filter: string): boolean {
  const [tokens, parts] = [subject.split('.'), filter.split('.')]
  if (parts.at(-1) === '>') return tokens.length >= parts.length && isCaptured(tokens.slice(0, parts.length - 1).join('.'), parts.slice(0, -1).join('.'))
  return tokens.length === parts.length && parts.every((part, index) => part === '*' || part === tokens[index])
}
const streamsOf = (subject: string): string[] => STREAMS.filter(({ subjects }) => subjects.some((filter) => isCaptured(subject, filter))).map(({ name }) => name)
/** A subject of an event, with a letter where an id goes. */
const sampleOf = (filter: string): string => filter.replaceAll('*', 'x')

t.test('every subject is stored by exactly one stream', async (t) => {
  for (const event of EVENTS) t.same(streamsOf(sampleOf(subjectFilter(event))), [event.stream], event.type)
  t.same(streamsOf(pendingSubject('x')), ['DELETIONS'], 'schedules too')
  for (const event of EVENTS) t.same(streamsOf(deadSubject(sampleOf(subjectFilter(event)))), ['DEAD_LETTERS'])
  for (const { subject } of REQUESTS) t.same(streamsOf(subject), [], `${subject} is answered, not stored`)
})

t.test('names are unique', async (t) => {
  for (const names of [EVENTS.map(({ type }) => type), EVENTS.map(subjectFilter), REQUESTS.map(({ subject }) => subject), CONSUMERS.map(({ name }) => name), STREAMS.map(({ name }) => name), BUCKETS.map(({ name }) => name)]) {
    t.equal(new Set(names).size, names.length)
  }
})

t.test('a consumer', async (t) => {
  for (const { name, stream, events, delayMsFirst, delayMsMax } of CONSUMERS) {
    t.same([...new Set(events.map((event) => event.stream))], [stream], `${name} reads one stream`)
    t.ok(events.every((event) => EVENTS.includes(event)), 'and only what is in the catalogue')
    t.ok(delayMsFirst < delayMsMax)
  }
})

const placeholders = EVENTS.flatMap((event) => [...event.subject.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({ event, name, schema: event.data.properties[name] as TSchema & { pattern: string } })))

t.test('an id in a subject', async (t) => {
  t.ok(placeholders.length >= EVENTS.length)
  for (const { event, name, schema } of placeholders) {
    const validator = Compile(schema)
    const valid = fc.stringMatching(new RegExp(schema.pattern))
    fc.assert(fc.property(valid, (id) => {
      const subject = subjectOf(event, { [name]: id } as never)
      return validator.Check(id) && subject.split('.').length === event.subject.split('.').length && !/[*>\s]/.test(subject) && isCaptured(subject, subjectFilter(event))
    }), { numRuns: 50 })
    fc.assert(fc.property(valid, fc.constantFrom('.', '*', '>', ' ', '\t', '\r', '\n', '\0'), fc.double({ min: 0, max: 1, noNaN: true }), (id, character, at) => {
      const place = Math.round(at * id.length)
      return !validator.Check(id.slice(0, place) + character + id.slice(place))
    }), { numRuns: 100 })
    t.pass(`${name} of ${event.type} cannot widen or leave it`)
  }
})
