import t from 'tap'
import { afterClose } from '../reconnect.ts'

const backoff = { delayMsFirst: 1_000, delayMsMax: 60_000 }

t.test('what follows a closed connection', async (t) => {
  for (const code of [402, 403, 405, 406, 409, 411, 418, 440]) t.equal(afterClose(code, 1, backoff, 0).kind, 'stop', `${code}: a person has to look`)
  t.same(afterClose(401, 1, backoff, 0), { kind: 'relink' })
  t.same(afterClose(515, 1, backoff, 0.9), { kind: 'reconnect', delayMs: 0 }, 'at once after linking')
  t.same(afterClose(515, 3, backoff, 0), { kind: 'reconnect', delayMs: 2_000 }, 'but not for ever')
  for (const code of [408, 428, 500, 503, 599, undefined]) t.same(afterClose(code, 1, backoff, 0), { kind: 'reconnect', delayMs: 500 }, `${code}: again, soon`)
})

t.test('the delay doubles up to its limit and is spread', async (t) => {
  const delays = [1, 2, 3, 7, 50].map((failures) => afterClose(428, failures, backoff, 0.999_999))
  t.same(delays.map((after) => after.kind === 'reconnect' && after.delayMs), [1_000, 2_000, 4_000, 60_000, 60_000])
  t.same(afterClose(428, 7, backoff, 0), { kind: 'reconnect', delayMs: 30_000 })
})
