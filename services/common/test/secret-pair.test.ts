import t from 'tap'
import { Value } from 'typebox/value'
import { firstOf, isOneOf, secretPair, secretsOf } from '../secret-pair.ts'

const [old, next] = ['o'.repeat(32), 'n'.repeat(32)]

t.test('one secret, or two while it is changed', async (t) => {
  const fits = (text: string): boolean => Value.Check(secretPair(32), text)
  t.ok(fits(old) && fits(`${old},${next}`) && fits(`${old} , ${next}`))
  for (const wrong of ['', 'o'.repeat(31), `${old},`, `,${old}`, `${old},short`, `${old},${next},${old}`, `${old} ${next}`, 'o'.repeat(257)]) t.notOk(fits(wrong), wrong.slice(0, 12))
  t.same(secretsOf(`${old} , ${next}`), [old, next])
  t.equal(firstOf(`${next},${old}`), next, 'who sends, sends the first')
  t.equal(firstOf(old), old)
})

t.test('who checks takes either, and nothing else', async (t) => {
  const isSecret = isOneOf(`${old},${next}`)
  t.ok(isSecret(old) && isSecret(next))
  for (const wrong of ['', `${old},${next}`, `${old}x`, old.slice(1)]) t.notOk(isSecret(wrong))
  t.notOk(isOneOf(next)(old), 'the old one is refused once it is dropped')
})
