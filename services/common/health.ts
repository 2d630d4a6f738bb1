// The internal port: /healthz (the process is alive), /readyz (it can do its work), /metrics. Never reachable from outside.
import type { AddressInfo } from 'node:net'
import { createServer } from './http.ts'
import type { Metrics } from './metrics.ts'

/** Each check says in one word why it is not ready, or `ok`. Must not hang: it is given a second. */
export type Checks = Record<string, () => string | Promise<string>>

export async function serveHealth (options: { host: string, port: number, metrics: Pick<Metrics, 'registry'>, checks: Checks }): Promise<{ port: number, close: () => Promise<void> }> {
  const { metrics, checks } = options
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000, maxHeaderSize: 8_192 }, (request, response) => {
    answer(request.url ?? '/').then(({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body), () => response.writeHead(500).end())
  })
  async function answer (url: string): Promise<{ status: number, type: string, body: string }> {
    if (url === '/healthz') return { status: 200, type: 'application/json', body: '{"status":"ok"}' }
    if (url === '/metrics') return { status: 200, type: metrics.registry.contentType, body: await metrics.registry.metrics() }
    if (url !== '/readyz') return { status: 404, type: 'text/plain', body: 'not found' }
    const results = await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await Promise.race([check(), after(1_000)])] as const))
    const ready = results.every(([, result]) => result === 'ok')
    return { status: ready ? 200 : 503, type: 'application/json', body: JSON.stringify({ status: ready ? 'ready' : 'not ready', checks: Object.fromEntries(results) }) }
  }
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port, options.host, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => { resolve() }))
    },
  }
}

async function after (ms: number): Promise<string> {
  return await new Promise((resolve) => setTimeout(resolve, ms, 'no answer').unref())
}
