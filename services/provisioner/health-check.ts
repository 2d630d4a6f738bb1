// A server is up when its port takes a connection and keeps it: on a node with Docker's proxy in front, the proxy may accept for a program
// that is not there yet, and then hangs up at once.
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { stopping } from './panel-budget.ts'

export interface HealthCheck {
  /** True as soon as a try succeeds, false when `deadlineAt` has passed without. At least one try is made. Transient Fault STOPPING on abort. */
  (address: { readonly host: string, readonly port: number }, deadlineAt: number, signal: AbortSignal): Promise<boolean>
}

/** How long a connection must be kept. */
export const KEPT_MS = 150

export function createHealthCheck ({ everyMs, timeoutMs, now }: { readonly everyMs: number, readonly timeoutMs: number, readonly now: () => number }): HealthCheck {
  return async (address, deadlineAt, signal) => {
    for (;;) {
      if (signal.aborted) throw stopping()
      if (await answers(address, timeoutMs, signal)) return true
      if (now() + everyMs > deadlineAt) return false
      await delay(everyMs, undefined, { signal }).catch(() => {})
    }
  }
}

/** Connected, and then neither closed nor reset for a moment, or something was said. Never rejects. */
async function answers ({ host, port }: { readonly host: string, readonly port: number }, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs })
    let kept: NodeJS.Timeout | undefined
    const end = (isUp: boolean): void => {
      clearTimeout(kept)
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
      socket.destroy()
      resolve(isUp)
    }
    const stop = (): void => { end(false) }
    // Not by `connect`: what that puts there stays as long as the signal, and the socket with it (Node 24.21.0).
    signal.addEventListener('abort', stop, { once: true })
    const late = setTimeout(end, timeoutMs + KEPT_MS, false)
    socket.once('connect', () => { kept = setTimeout(end, KEPT_MS, true) })
    socket.once('data', () => { end(true) })
    socket.once('error', () => { end(false) })
    socket.once('timeout', () => { end(false) })
    socket.once('close', () => { end(false) })
  })
}
