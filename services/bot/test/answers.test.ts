import t from 'tap'
import { collected } from '../../common/test/collect.ts'
import { createAnswers } from '../answers.ts'

const forEver = new Promise<never>(() => {})

t.test('an answer is let go although the connection lasts', async (t) => {
  const answers = createAnswers(60_000)
  const asked = async (): Promise<WeakRef<object>> => new WeakRef(await answers.of(Promise.resolve({ people: 5_000 })))
  const held = await asked()
  await collected()
  t.equal(held.deref(), undefined)
  answers.end()
})

t.test('whoever waits is told what came of it', async (t) => {
  const answers = createAnswers(60_000)
  t.equal(await answers.of(Promise.resolve('yes')), 'yes')
  await t.rejects(answers.of(Promise.reject(new Error('no'))), { message: 'no' })
  await t.rejects(createAnswers(1).of(forEver), { message: 'timeout' })
  const waiting = [answers.of(forEver), answers.of(forEver)]
  answers.end()
  for (const one of waiting) await t.rejects(one, { message: 'closed' })
  await t.rejects(answers.of(forEver), { message: 'closed' }, 'nor does anybody begin to wait')
})
