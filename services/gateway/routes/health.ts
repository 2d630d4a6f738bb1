import { Type } from 'typebox'
import type { App, Gateway } from '../gateway.ts'

const Health = Type.Object({ status: Type.String() })

export const healthzSchema = { operationId: 'healthz', summary: 'The gateway is alive', response: { 200: Health } }
export const readyzSchema = { operationId: 'readyz', summary: 'The gateway can do its work', response: { 200: Health, 503: Health } }

/** For a load balancer; what exactly is amiss is told on the internal port only (services/common/health.ts). */
export function health (app: App, { bus }: Gateway): void {
  app.get('/healthz', { schema: healthzSchema }, async (_request, reply) => reply.header('cache-control', 'no-store').send({ status: 'ok' }))
  app.get('/readyz', { schema: readyzSchema }, async (_request, reply) => {
    const ready = bus.isConnected()
    return reply.code(ready ? 200 : 503).header('cache-control', 'no-store').send({ status: ready ? 'ready' : 'not ready' })
  })
}
