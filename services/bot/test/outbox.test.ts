import t from 'tap'
import fc from 'fast-check'
import { accepted, concluded, meaningOf, newRecord, nextStep } from '../outbox.ts'

t.test('the next step of a message', async (t) => {
  const fresh = newRecord(['a', 'b'])
  t.same(nextStep(fresh, 0, null), { kind: 'send', part: 0, id: 'a' })
  t.same(nextStep(accepted(fresh, 0), 0, null), { kind: 'send', part: 1, id: 'b' })
  t.same(nextStep(accepted(accepted(fresh, 0), 1), 0, null), { kind: 'conclude', outcome: 'delivered' })
  t.same(nextStep(fresh, 10, 10), { kind: 'conclude', outcome: 'MESSAGE_EXPIRED' })
  t.same(nextStep(accepted(accepted(fresh, 0), 1), 99, 10), { kind: 'conclude', outcome: 'delivered' }, 'what was accepted in time has not expired')
  t.same(nextStep(concluded(fresh, 'WHATSAPP_REACHOUT_LOCKED'), 0, null), { kind: 'announce', outcome: 'WHATSAPP_REACHOUT_LOCKED' })
})

t.test('what an error means', async (t) => {
  t.equal(meaningOf('463'), 'WHATSAPP_REACHOUT_LOCKED')
  for (const error of ['429', '500', '503']) t.equal(meaningOf(error), 'again')
  for (const error of ['479', '', '999']) t.equal(meaningOf(error), 'WHATSAPP_REFUSED')
})

t.test('however often it dies', async (t) => {
  // A crash after a send loses the record of its acceptance; a crash after a store loses nothing.
  fc.assert(fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.boolean(), { maxLength: 30 }), (parts, crashes) => {
    let record = newRecord(Array.from({ length: parts }, (_, n) => `id${n}`))
    const shown = new Map<string, number>()
    for (let n = 0; n < 60; n++) {
      const step = nextStep(record, 0, null)
      if (step.kind === 'announce') break
      if (step.kind === 'conclude') record = concluded(record, step.outcome)
      else {
        shown.set(step.id, (shown.get(step.id) ?? 0) + 1)
        if (!crashes[n]) record = accepted(record, step.part)
      }
    }
    if (record.outcome !== 'delivered') throw new Error('not delivered in the end')
    if (shown.size !== parts) throw new Error('another number of messages was shown than there are parts')
  }))
  t.pass('the recipient sees each part under one id')
})
