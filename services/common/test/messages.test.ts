import t from 'tap'
import { join } from 'node:path'
import { loadMessages, wib } from '../messages.ts'
import { createMessages, LANGUAGES } from '../phrases.ts'
import { FAILURE_CODES, HTTP_CODES, STEPS } from '../../../contracts/codes.ts'

const dir = join(import.meta.dirname, '../../../config/messages')
const messages = loadMessages(dir)

t.test('every code and step has words of its own in every language', async (t) => {
  const keys = [...Object.keys(HTTP_CODES).map((code) => `errors.${code}`), ...FAILURE_CODES.map((code) => `failures.${code}`), ...STEPS.map((step) => `steps.${step}`)]
  for (const language of LANGUAGES) {
    const texts = keys.map((key) => messages.say(language, key, { link: 'https://chat.example/x', seconds: 5, time: 'later' }))
    t.equal(new Set(texts).size, keys.length)
    t.notOk(texts.some((text) => /[{}]/.test(text)), 'with every placeholder filled')
  }
  t.notOk(/\bAnda\b/.test(keys.map((key) => messages.say('id', key, { link: '', seconds: 5, time: '' })).join()), 'and the member is called kamu')
})

t.test('words', async (t) => {
  t.match(messages.say('id', 'errors.NOT_MEMBER', { link: 'https://chat.example/x' }), /lewat https:\/\/chat\.example\/x,/, 'take values')
  t.match(messages.say('en', 'errors.NOT_MEMBER', { link: '{password}' }), /via \{password\},/, 'do not look into the values for more placeholders')
  t.throws(() => messages.say('en', 'errors.NOT_MEMBER'), { message: 'errors.NOT_MEMBER needs a value for {link}' }, 'do not leave a gap')
  t.throws(() => messages.say('en', 'errors.NOPE'), /no words for errors\.NOPE/)
  t.match(messages.say('id', 'notices.failed', { reason: 'R', code: 'C' }).split('\n'), ['Maaf, server kamu tidak jadi dibuat.', 'R', / C$/], 'may have many lines')
})

t.test('languages that differ are refused, and everything that differs is named at once', async (t) => {
  const problems = problemsOf({ id: new Map([['a.x', '{one}'], ['a.y', 'y']]), en: new Map([['a.x', '{two}'], ['a.z', ' ']]) })
  t.match(problems, /a\.x takes \{one\} in id and \{two\} in en/)
  t.match(problems, /en has no a\.y/)
  t.match(problems, /id has no a\.z/)
  t.match(problems, /en has no failures\.NODE_DOWN/, 'codes without words too')
  const broken = t.testdir({ id: { 'errors.json': '{"a": 1}' }, en: {} })
  t.throws(() => loadMessages(broken), /errors\.json: a is neither a text nor a list of lines/)
})

t.test('times are told in western Indonesian time, and never later than they are', async (t) => {
  const date = new Date('2026-11-23T17:30:59.999Z')
  t.match(wib(date, 'id'), /^Selasa, 24 November 2026 pukul 00\.30 WIB$/)
  t.match(wib(date, 'en'), /^Tuesday,? 24 November 2026 at 00:30 WIB$/)
})

function problemsOf (phrases: Parameters<typeof createMessages>[0]): string {
  try {
    createMessages(phrases)
  } catch (error) {
    return (error as Error).message
  }
  return ''
}
