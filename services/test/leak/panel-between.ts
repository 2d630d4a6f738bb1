// Stands between provisioner and panel: notes every password that the panel is told, and can answer like a panel with debugging on, which
// quotes what it was asked, key and password included.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Quote { readonly method: string, readonly path: string, readonly text: string, readonly status: number }

export interface PanelBetween {
  readonly url: string
  /** In the order in which the panel was told them. */
  passwords (): readonly string[]
  /** All that crossed: what the panel, which is outside, knows. */
  crossed (): readonly Buffer[]
  /** Answers the next call of a method below a path, with this text in it, by this status instead of asking the panel. */
  quoteNext (quote: Quote): void
  close (): Promise<void>
}

export async function startPanelBetween (panelUrl: string): Promise<PanelBetween> {
  const passwords: string[] = []
  const crossed: Buffer[] = []
  const quotes: Quote[] = []

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = request
    const body = Buffer.concat(await request.toArray() as Buffer[])
    crossed.push(Buffer.from(`${method} ${url} ${JSON.stringify(headers)}`), body)
    const { password } = body.length > 0 ? JSON.parse(body.toString()) as { password?: string } : {}
    const at = quotes.findIndex(({ method: wanted, path, text }) => wanted === method && url.startsWith(`/api/application${path}`) && body.includes(text))
    const [quote] = at === -1 ? [] : quotes.splice(at, 1)
    if (password !== undefined) passwords.push(password)
    if (quote) {
      response.writeHead(quote.status, { 'content-type': 'application/json', 'x-asked': encodeURIComponent(`${headers.authorization} ${body.toString()}`) })
      response.end(quoted(quote.status, `${method} ${url} ${headers.authorization} ${body.toString()}`))
      return
    }
    const passed = await fetch(`${panelUrl}${url}`, {
      method, redirect: 'manual', ...(body.length > 0 ? { body } : {}),
      headers: Object.fromEntries(['authorization', 'accept', 'content-type'].flatMap((name) => typeof headers[name] === 'string' ? [[name, headers[name]]] : [])),
    })
    const text = Buffer.from(await passed.arrayBuffer())
    crossed.push(text)
    const kept = [...passed.headers].filter(([name]) => !['content-length', 'content-encoding', 'transfer-encoding', 'connection', 'keep-alive'].includes(name))
    response.writeHead(passed.status, Object.fromEntries(kept)).end(text)
  }

  const server = createServer((request, response) => { answer(request, response).catch(() => { response.destroy() }) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passwords: () => passwords,
    crossed: () => crossed,
    quoteNext: (quote) => { quotes.push(quote) },
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
    },
  }
}

/** Wherever a panel puts words of its own, the question stands. */
function quoted (status: number, asked: string): string {
  const code = status === 422 ? 'ValidationException' : 'QueryException'
  return JSON.stringify({
    errors: [
      { code, status: String(status), detail: `refused: ${asked}`, meta: { source_field: 'language', rule: 'in', asked }, source: { line: 1, file: asked }, trace: [asked] },
      { code: asked, status: asked, detail: asked, meta: { source_field: asked, rule: asked } },
    ],
    message: asked,
  })
}
