import t from 'tap'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { HTTP_CODES, STEPS } from '../../../contracts/codes.ts'
import { LANGUAGES } from '../../common/phrases.ts'
import { pageDataOf } from '../build-data.ts'
import { shownNumber } from '../number.ts'
import { inReadersZone } from '../readers-zone.ts'
import { fits, wrongFields } from '../validation.ts'
import { sayOf } from '../words.ts'

const root = resolve(import.meta.dirname, '../../..')
const data = Object.fromEntries(LANGUAGES.map((language) => [language, pageDataOf(language, root, '')]))

t.test('every word that the page says is there, in each language', async (t) => {
  const source = globSync('components/*.tsx', { cwd: join(root, 'services/web') }).map((file) => readFileSync(join(root, 'services/web', file), 'utf8')).join('\n')
  const said = [...source.matchAll(/\bsay\(([^()]*(?:\([^()]*\))?[^()]*)\)/g)].flatMap(([, argument = '']) => [...argument.matchAll(/'([a-z][\w.]*)'/g)].map(([, key = '']) => key)).filter((key) => !['creating', 'deleting', 'failed'].includes(key))
  t.ok(said.length > 40, `${said.length} keys`)
  const made = [
    ...[...Object.keys(HTTP_CODES), 'UNREACHABLE'].map((code) => `problem_${code}`),
    ...[...STEPS, 'done'].flatMap((step) => [`step_${step}`, `usual_${step}`]),
    ...['done', 'current', 'waiting'].map((state) => `state_${state}`),
    ...['form', 'build', 'login'].flatMap((step) => [`how_${step}`, `how_${step}_title`]),
    ...['PHONE', 'USERNAME', 'TEMPLATE'].map((code) => `errors.INVALID_${code}`),
  ]
  for (const language of LANGUAGES) {
    const say = sayOf(data[language]?.words ?? {})
    for (const key of new Set([...said, ...made])) t.doesNotThrow(() => say(key, { number: 1, seconds: 1, time: 'x' }), `${language} ${key}`)
  }
  t.notMatch(JSON.stringify(data['id']), /\bAnda\b/, 'and says kamu')
  t.throws(() => sayOf({})('nothing'))
})

t.test('fields are held against the schemas of the API', async (t) => {
  const { schemas } = pageDataOf('id', root, '')
  for (const [name, fitting] of [['member1', true], ['a.b-c_d', true], ['ab', false], ['-ab', false], ['ab-', false], ['a b', false], ['x'.repeat(61), false]] as const) t.equal(fits(schemas.username, name), fitting, name)
  const form = { wa_number_e164: '0812 0000 0001', username: 'member1', template: 'nodejs' }
  t.same(wrongFields(form, schemas, ['nodejs'], true), [])
  t.same(wrongFields({ ...form, username: '', wa_number_e164: '', template: 'java' }, schemas, ['nodejs'], undefined), ['wa_number_e164', 'username', 'template'])
  t.same(wrongFields(form, schemas, ['nodejs'], false), ['wa_number_e164'])
})

t.test('a number is shown as WhatsApp shows it', async (t) => {
  for (const typed of ['081234567890', '6281234567890', '+62 812-3456-7890', '0062 812 3456 7890', '\u202a+62 812\u20113456\u20117890\u202c']) t.equal(shownNumber(typed), '+62 812 3456 7890', typed)
  t.equal(shownNumber('+1 202 555 0100'), '+1 202 555 0100')
  for (const typed of ['', '0812', '0812 3456 789x', '081234567890123456']) t.equal(shownNumber(typed), undefined, typed)
})

t.test("a time in the reader's zone", async (t) => {
  const date = new Date('2026-11-23T10:00:00Z')
  for (const zone of ['Asia/Jakarta', 'Asia/Bangkok']) t.equal(inReadersZone(date, 'id', zone), undefined, `is not said twice in ${zone}`)
  t.match(inReadersZone(date, 'id', 'Asia/Makassar'), /Senin, 23 November 2026 pukul 18\.00 WITA/)
  t.match(inReadersZone(date, 'en', 'Europe/Berlin'), /Monday.*11:00 (CET|GMT\+1)/)
})
