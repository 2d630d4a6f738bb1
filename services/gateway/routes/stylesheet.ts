import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isUnchanged } from '../claim-progress.ts'
import type { App } from '../gateway.ts'

/** A file of its own, because the pages' content security policy takes no inline style. */
export function stylesheet (app: App): void {
  const css = readFileSync(join(import.meta.dirname, '../pages/style.css'), 'utf8')
  const etag = `"${createHash('sha256').update(css).digest('base64url').slice(0, 22)}"`
  app.get('/style.css', async (request, reply) => {
    reply.headers({ etag, 'cache-control': 'public, max-age=300' })
    if (isUnchanged(request.headers['if-none-match'], etag)) return reply.code(304).send()
    return reply.type('text/css; charset=utf-8').send(css)
  })
}
