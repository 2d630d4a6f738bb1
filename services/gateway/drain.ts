// A gateway that stops loses no request that is on its way over a connection which was kept open: ended at once, as Node does it, the client could not
// tell whether it was handled.
import { once } from 'node:events'
import { Server } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { App } from './gateway.ts'

/** Longer than a request is on its way. Whoever has not asked by then has nothing under way. */
const DRAIN_MS_MAX = 1_000

/** From `close()` on nobody new is let in; who is connected is answered, and told that it was the last answer of this connection (Fastify says so while it closes). */
export function drainConnections (app: App): void {
  app.addHook('preClose', async () => {
    if (!app.server.listening) return
    const closed = once(app.server, 'close')
    // That of HTTP ends idle connections, too.
    Server.prototype.close.call(app.server)
    const timer = new AbortController()
    await Promise.race([closed, delay(DRAIN_MS_MAX, undefined, { signal: timer.signal }).catch(() => {})])
    timer.abort()
  })
}
