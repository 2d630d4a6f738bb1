// An account of a former member is deleted on an operator's word, and at that very moment the member claims again. Between the look at the ledger and the
// deletion there is always a moment, so the new claim has to survive it wherever it comes.
import t, { type Test } from 'tap'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { memberIdOf } from '../../common/member-id.ts'
import { account, accountsOf, DOMAIN, open, panelCall, ready, world } from './harness.ts'

/** Stands before the panel and lets nothing of a kind through until it is told to. */
async function startGate (t: Test, panelUrl: string) {
  let awaited: { is: (call: string) => boolean, arrived: () => void, opened: Promise<void> } | undefined
  async function body (request: IncomingMessage): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    return Buffer.concat(parts)
  }
  const server = createServer((request, response) => {
    void (async () => {
      const { method = '', url = '', headers } = request
      const sent = await body(request)
      if (awaited?.is(`${method} ${url}`)) {
        const { arrived, opened } = awaited
        awaited = undefined
        arrived()
        await opened
      }
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
    /** Resolves when such a call has come, with what lets it go on. */
    stopAt: async (kind: RegExp): Promise<() => void> => await new Promise((resolve) => {
      let release = (): void => {}
      const opened = new Promise<void>((go) => { release = go })
      awaited = { is: (call) => kind.test(call), arrived: () => { resolve(release) }, opened }
    }),
  }
}

t.test('a claim whose account is deleted', async (t) => {
  const w = await world(t)
  const gate = await startGate(t, w.panel.url)
  await w.provisioner({ PANEL_URL: gate.url })
  const moments: Record<string, { at: RegExp, isKept?: boolean }> = {
    'before it was looked for': { at: /^POST .*\/users$/ }, 'before it was found': { at: /^GET .*\/users\/external\// }, 'before it got its new password': { at: /^PATCH .*\/users\// },
    'before it got its server': { at: /^POST .*\/servers/ }, 'after that': { at: /^GET .*\/servers\?/, isKept: true },
  }
  let number = 0
  for (const [when, { at, isKept = false }] of Object.entries(moments)) {
    const wa_jid = `62811${String(++number).padStart(8, '0')}@s.whatsapp.net`
    const member = memberIdOf('test key', wa_jid)
    const { attributes } = await panelCall(w.panel, 'POST', '/users', account({ email: `${member}@${DOMAIN}`, username: `former${number}`, external_id: wa_jid }))
    const stopped = gate.stopAt(at)
    const request = await w.request({ wa_jid })
    const goOn = await stopped
    const { status } = await panelCall(w.panel, 'DELETE', `/users/${Number(attributes['id'])}`)
    t.equal(status, isKept ? 400 : 204)
    goOn()
    const server = ready(await w.ended(request.claim_id))
    t.equal(server.user_id === attributes['id'], isKept, `${when} gets ${isKept ? 'to keep it: the panel does not delete who owns something' : 'a new one'}`)
    t.same(accountsOf(w.panel).filter(({ email }) => email.startsWith(member)).map(({ id }) => id), [server.user_id])
    t.same(w.panel.state().servers.filter(({ externalId }) => externalId === request.claim_id).map(({ id, listens }) => [id, listens]), [[server.server_id, true]])
    t.ok(w.panel.login(server.username, await open(server.sealed_password)), 'and the login that was told opens it')
  }
})
