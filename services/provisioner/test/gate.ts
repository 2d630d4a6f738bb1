// Stands before the panel and stops calls of a kind on their way.
import type { Test } from 'tap'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

async function body (request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

export async function startGate (t: Test, panelUrl: string) {
  let awaited: { is: (call: string) => boolean, arrived: (call: string) => void, opened: Promise<'pass' | number> } | undefined
  const server = createServer((request, response) => {
    void (async () => {
      const { method = '', url = '', headers } = request
      const sent = await body(request)
      let verdict: 'pass' | number = 'pass'
      const call = `${method} ${url}`
      if (awaited?.is(call)) {
        const { arrived, opened } = awaited
        awaited = undefined
        arrived(call)
        verdict = await opened
      }
      if (verdict !== 'pass') return response.writeHead(verdict).end()
      const { authorization = '', accept = '' } = headers
      const answer = await fetch(new URL(url, panelUrl), { method, headers: { authorization, accept, 'content-type': 'application/json' }, ...(sent.length === 0 ? {} : { body: sent }) })
      const kept = ['content-type', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'retry-after'].flatMap((name) => answer.headers.get(name) === null ? [] : [[name, answer.headers.get(name) ?? '']])
      response.writeHead(answer.status, Object.fromEntries(kept) as Record<string, string>).end(await answer.text())
    })()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Resolves when such a call has come. `goOn` lets it pass; given a status, it is answered with that and never gets to the panel. */
    stopAt: async (kind: RegExp): Promise<{ call: string, goOn: (status?: number) => void }> => await new Promise((resolve) => {
      let open: (how: 'pass' | number) => void = () => {}
      const opened = new Promise<'pass' | number>((go) => { open = go })
      awaited = { is: (call) => kind.test(call), arrived: (call) => { resolve({ call, goOn: (status) => { open(status ?? 'pass') } }) }, opened }
    }),
  }
}
