// A request notes its claim and goes on: what that costs, and how long the event loop is held up while the book is written, must not grow with the book.
import t from 'tap'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { BookKind } from '../book-file.ts'
import { entry, place, until } from './books.ts'

const NOTES = 200
const BATCHES = 20
/** A request has seconds; this is what the machine of a test may add to a write of a few milliseconds. */
const HELD_MS_MAX = 500
const NOTE_MS_MAX = 1

const medianOf = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

for (const [kind, claims] of [['json', 100], ['json', 10_000], ['json', 20_000], ['sqlite', 100], ['sqlite', 20_000], ['sqlite', 100_000]] as const satisfies ReadonlyArray<[BookKind, number]>) {
  t.test(`claims.${kind} of ${claims} claims`, async (t) => {
    const at = place(t, kind)
    const book = await at.open()
    for (let n = 0; n < claims; n++) book.note(entry(n))
    await delay(50)
    const held = monitorEventLoopDelay({ resolution: 1 })
    held.enable()
    await book.flush()
    held.disable()
    const whole = { ms: Math.round((at.written.at(-1)?.seconds ?? 0) * 1_000), heldMs: Math.round(held.max / 1e6) }
    const notes: number[] = []
    const writes: number[] = []
    held.reset()
    held.enable()
    for (let batch = 0; batch < BATCHES; batch++) {
      const flushed: Array<Promise<void>> = []
      for (let n = 0; n < NOTES / BATCHES; n++) {
        const one = entry(n)
        const began = performance.now()
        book.note(one)
        notes.push(performance.now() - began)
        at.sequence = (at.sequence ?? 0) + 1
        if (n === 0) flushed.push(book.flush())
        await delay(1)
      }
      await Promise.all(flushed)
      await book.flush()
      writes.push((at.written.at(-1)?.seconds ?? 0) * 1_000)
    }
    held.disable()
    const began = performance.now()
    const read = await at.read()
    t.equal(read.claims.length, claims + NOTES)
    t.comment(JSON.stringify({
      kind, claims, bytes: at.written.at(-1)?.bytes, noteMedianUs: Math.round(medianOf(notes) * 1_000), noteMaxMs: Number(Math.max(...notes).toFixed(2)), batchMedianMs: Number(medianOf(writes).toFixed(1)),
      heldMaxMs: Number((held.max / 1e6).toFixed(1)), held99Ms: Number((held.percentile(99) / 1e6).toFixed(1)), wholeMs: whole.ms, wholeHeldMs: whole.heldMs, readMs: Math.round(performance.now() - began),
    }))
    t.ok(medianOf(notes) < NOTE_MS_MAX)
    t.ok(held.max / 1e6 < HELD_MS_MAX, 'nobody is held up while batches are written')
    t.ok(whole.heldMs < HELD_MS_MAX, 'nor by the whole book')
  })
}

t.test('of a book that takes long to write the next batch waits', async (t) => {
  const at = place(t, 'json')
  const book = await at.open({ everyMs: 10 })
  for (let n = 0; n < 10_000; n++) book.note(entry(n))
  await until('it is written', () => at.written.length > 0)
  const [one, before, began] = [entry(1), at.written.length, performance.now()]
  const noting = setInterval(() => { book.note(one) }, 1)
  await until('it is written some more times', () => at.written.length >= before + 4)
  clearInterval(noting)
  const share = at.written.slice(before).reduce((sum, { seconds }) => sum + seconds * 1_000, 0) / (performance.now() - began)
  t.ok(share < 0.25, `it is written during ${Math.round(share * 100)} % of the time`)
})
