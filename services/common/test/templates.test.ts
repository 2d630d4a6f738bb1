import t from 'tap'
import { join } from 'node:path'
import { environmentOf, healthPortOf, loadTemplates, parseTemplates, problemsOfTemplate, templateOf, type TemplateDefinition } from '../templates.ts'

const file = join(import.meta.dirname, '../../../config/templates.json')
const shipped = loadTemplates(file)
const nodejs = shipped.get('nodejs')?.definition as TemplateDefinition

t.test('the templates that are shipped', async (t) => {
  t.same([...shipped.keys()], ['nodejs', 'python'])
  t.throws(() => { (nodejs.limits as { memory: number }).memory = 1 }, TypeError, 'cannot be changed by who reads them')
  for (const { name, definition } of shipped.values()) {
    const used = [...definition.startup.matchAll(/\{\{(\w+)\}\}/g)].map(([, variable = '']) => variable)
    t.same(used.filter((variable) => !(variable in definition.environment)), [], `${name} uses no variable in its startup that it does not give`)
    t.notMatch(definition.startup, /[*?\\]/, `${name} has nothing in its startup that the image's unquoted echo would expand`)
  }
})

t.test('a template that is wrong', async (t) => {
  const wrong = (change: object): string[] => problemsOfTemplate('nodejs', { ...nodejs, ...change })
  t.same(wrong({}), [])
  t.same(wrong({ egg: 0 }), ['nodejs: egg must be >= 1'], 'is named with its field')
  t.same(wrong({ limits: { ...nodejs.limits, io: 5 } }), ['nodejs: limits.io must be >= 10'])
  t.same(wrong({ eggs: 1 }), ['nodejs: eggs is not known'], 'because of a field that does not exist')
  t.equal(wrong({ nodes: [] }).length, 1)
  t.equal(wrong({ image: 'a;b' }).length, 1)
  t.match(wrong({ healthcheck: { deadlineS: 5, port: 80, portEnv: 'SERVER_PORT' } }), [/port or portEnv/])
  t.match(wrong({ healthcheck: { deadlineS: 5, portEnv: 'QUERY_PORT' } }), [/QUERY_PORT/], 'because of a health check on a port that nobody sets')
  t.match(wrong({ environment: { ...nodejs.environment, A: '{{ports}}' } }), [/environment\.A/])
  t.throws(() => parseTemplates({ templates: { nodejs: { ...nodejs, egg: 'x' }, python: { ...nodejs, nest: -1 } } }), { code: 'TEMPLATES_INVALID', message: /nodejs: egg[\s\S]*python: nest/ }, 'is reported together with all others')
  t.throws(() => parseTemplates({ templates: {} }), { code: 'TEMPLATES_INVALID' })
  t.throws(() => loadTemplates('/nonexistent'), { code: 'TEMPLATES_INVALID' })
  const { version: _, ...unversioned } = nodejs
  t.same(problemsOfTemplate('nodejs', unversioned), ['nodejs: version is missing'])
})

t.test('the fingerprint', async (t) => {
  const { hash } = templateOf('nodejs', nodejs)
  const turned = Object.fromEntries(Object.entries(nodejs).toReversed()) as TemplateDefinition
  t.equal(templateOf('nodejs', turned).hash, hash, 'does not depend on the order of fields')
  t.not(templateOf('nodejs', { ...nodejs, environment: { ...nodejs.environment, MAIN_FILE: 'main.js' } }).hash, hash, 'depends on every value')
})

t.test('the port of the health check', async (t) => {
  const port = (healthcheck: object, environment: Record<string, string> = {}): number => healthPortOf({ ...nodejs, environment, healthcheck: { deadlineS: 1, ...healthcheck } }, 20_001)
  t.equal(port({}), 20_001)
  t.equal(port({ portEnv: 'SERVER_PORT' }), 20_001)
  t.equal(port({ port: 8080 }), 8080)
  t.equal(port({ portEnv: 'WEB' }, { WEB: '3000' }), 3000)
  t.equal(port({ portEnv: 'WEB' }, { WEB: '{{port}}' }), 20_001)
  t.same(environmentOf({ ...nodejs, environment: { A: 'x:{{port}}', B: '' } }, 5), { A: 'x:5', B: '' })
})
