import t from 'tap'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Parser } from '@asyncapi/parser'
import { Validator } from '@seriousme/openapi-schema-validator'
import { documents } from '../../scripts/docs.ts'
import { CONSUMERS } from '../streams.ts'
import { EVENTS, REQUESTS } from '../catalog.ts'

/** Diagnostic severities by the language server protocol: error and warning. */
const BAD: readonly number[] = [0, 1]
const root = join(import.meta.dirname, '../..')
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')

t.test('the documents in docs/ are what scripts/docs writes', async (t) => {
  for (const [path, text] of documents()) t.ok(textOf(path) === text, `${path}; run scripts/docs if not`)
})

t.test('docs/asyncapi.json', async (t) => {
  const { document, diagnostics } = await new Parser().parse(textOf('docs/asyncapi.json'))
  t.same(diagnostics.filter(({ severity }) => BAD.includes(severity)).map(({ message, path }) => `${path.join('.')}: ${message}`), [], 'is valid by the official parser')
  if (!document) return
  t.equal(document.version(), '3.0.0')
  const operations = document.operations().all()
  const named = (pattern: RegExp) => operations.filter((operation) => pattern.test(operation.id() ?? '')).length
  t.equal(named(/\.says\./), EVENTS.flatMap(({ authors }) => authors).length, 'tells every author of every event')
  t.equal(named(/\.hears\./), new Set(CONSUMERS.flatMap(({ service, events }) => events.map(({ type }) => `${service} ${type}`))).size, 'and every listener')
  t.equal(operations.filter((operation) => operation.reply() !== undefined).length, REQUESTS.length, 'and every question with its answer')
  const requested = document.messages().all().find((message) => message.name() === 'klaim.claim.requested.v1')
  t.match(requested?.payload()?.json(), { properties: { claim_id: { type: 'string' } } }, 'with the data')
  t.match(JSON.stringify(requested?.headers()?.json()), /"const":"klaim\.claim\.requested\.v1".*"\/klaim\/claim-store"/, 'and the CloudEvents headers')
})

t.test('docs/openapi.json', async (t) => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(textOf('docs/openapi.json'))
  t.same([valid, errors], [true, undefined], 'is valid by the schema of OpenAPI')
  t.equal(validator.version, '3.1')
  t.doesNotThrow(() => validator.resolveRefs())
})
