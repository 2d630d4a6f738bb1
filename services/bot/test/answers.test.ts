import t from 'tap'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createAnswers, type Answers } from '../answers.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const forEver = new Promise<never>(() => {})

t.test('an answer is let go although the connection lasts', async (t) => {
  const answers = createAnswers(60_000)
  const asked = async (): Promise<WeakRef<object>> => new WeakRef(await answers.of(Promise.resolve({ people: 5_000 })))
  const held = await asked()
  // A weak look keeps its object until the turn is over.
  await new Promise((resolve) => { setImmediate(resolve) })
  collect()
  t.equal(held.deref(), undefined)
  answers.end()
})

t.test('whoever waits is told what came of it', async (t) => {
  const answers: Answers = createAnswers(60_000)
  t.equal(await answers.of(Promise.resolve('yes')), 'yes')
  await t.rejects(answers.of(Promise.reject(new Error('no'))), { message: 'no' })
  await t.rejects(createAnswers(1).of(forEver), { message: 'timeout' })
  const waiting = [answers.of(forEver), answers.of(forEver)]
  answers.end()
  for (const one of waiting) await t.rejects(one, { message: 'closed' })
  await t.rejects(answers.of(forEver), { message: 'closed' }, 'nor does anybody begin to wait')
})
