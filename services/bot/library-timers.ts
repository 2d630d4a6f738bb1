// Baileys notes each person whom it writes to for three days (7.0.0-rc14, lib/Signal/lid-mapping.js and libsignal.js), by lru-cache with a timer for each, and does so
// within a transaction of its keys. A timer keeps the asynchronous context in which it was made, so all that the transaction had read and written stayed with it:
// some 40 kB for each of 500 people.
import { AsyncLocalStorage } from 'node:async_hooks'

const LONG_MS = 60_000

let isDone = false

/** Timers of a minute and more are made outside of any context. Must be called before the first socket is made. Calling it again changes nothing. */
export function letGoOfContexts (): void {
  if (isDone) return
  isDone = true
  const make = globalThis.setTimeout
  const outside = AsyncLocalStorage.snapshot()
  const setTimeout = (callback: () => void, ms?: number, ...args: []): NodeJS.Timeout => (ms ?? 0) >= LONG_MS ? outside(make, callback, ms, ...args) : make(callback, ms, ...args)
  globalThis.setTimeout = Object.defineProperties(setTimeout, Object.getOwnPropertyDescriptors(make)) as typeof make
}
