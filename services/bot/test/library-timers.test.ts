import t from 'tap'
import { AsyncLocalStorage } from 'node:async_hooks'
import { collected } from '../../common/test/collect.ts'
import { letGoOfContexts } from '../library-timers.ts'

const storage = new AsyncLocalStorage<object>()

/** A timer that is made within a context, and a weak look at what the context holds. */
function timerWithin (ms: number): { timer: NodeJS.Timeout, held: WeakRef<object> } {
  const content = { of: 'a transaction' }
  return { timer: storage.run(content, () => setTimeout(() => {}, ms)), held: new WeakRef(content) }
}

const { setTimeout: before } = globalThis
t.teardown(() => { globalThis.setTimeout = before })

t.test('a timer of days does not keep what its context holds', async (t) => {
  const first = timerWithin(3 * 24 * 60 * 60_000)
  t.teardown(() => { clearTimeout(first.timer) })
  await collected()
  t.not(first.held.deref(), undefined, 'it would, as Node makes it')

  letGoOfContexts()
  letGoOfContexts()
  const second = timerWithin(3 * 24 * 60 * 60_000)
  t.teardown(() => { clearTimeout(second.timer) })
  await collected()
  t.equal(second.held.deref(), undefined)
})

t.test('a short one is called in its context, with its arguments', async (t) => {
  letGoOfContexts()
  t.not(globalThis.setTimeout, before)
  const content = {}
  const called = storage.run(content, async () => await new Promise<unknown[]>((resolve) => { setTimeout((...args: unknown[]) => { resolve([storage.getStore(), ...args]) }, 1, 'one', 2) }))
  t.same(await called, [content, 'one', 2])
  t.equal((await called)[0], content)
})
