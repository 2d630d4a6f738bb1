import type { App } from '../gateway.ts'
import { openApiDocument } from '../open-api-document.ts'

export function openApi (app: App): void {
  const text = JSON.stringify(openApiDocument())
  app.get('/api/openapi.json', async (_request, reply) => reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache').send(text))
}
