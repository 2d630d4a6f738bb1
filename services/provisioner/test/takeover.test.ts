import t from 'tap'
import { once } from 'node:events'
import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { DOMAIN, open, ready, world } from './harness.ts'

// A provisioner that was cut off or stood still comes back with a claim in hand that another has finished meanwhile.
const w = await world(t)
const panelUrl = new URL(w.panel.url)

/** A way to the panel that stops at one kind of call until it is opened. */
const held = Promise.withResolvers<undefined>()
const opened = Promise.withResolvers<undefined>()
const way = createServer((request, response) => {
  void (async () => {
    if (request.method === 'GET' && request.url?.includes('/users/external/')) {
      held.resolve(undefined)
      await opened.promise
    }
    request.pipe(forward({ host: panelUrl.hostname, port: panelUrl.port, method: request.method, path: request.url, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    }))
  })()
}).listen(0, '127.0.0.1')
await once(way, 'listening')
t.teardown(() => { way.close(); way.closeAllConnections() })

t.test('a claim that another has finished meanwhile', async (t) => {
  // The member has an account from earlier, so that a password of it is set rather than made.
  const earlier = await w.provisioner()
  const first = await w.request()
  ready(await w.ended(first.claim_id))
  await earlier.stop()

  await w.provisioner({ PANEL_URL: `http://127.0.0.1:${(way.address() as AddressInfo).port}`, PANEL_READ_TIMEOUT_MS: 30_000 })
  const { wa_jid, member_id, username } = first
  const claim = await w.request({ wa_jid, member_id, username })
  await held.promise
  await w.provisioner()
  // Delivered to either of the two; each delivery to the first stays in its hand.
  let isDone = false
  const ended = w.ended(claim.claim_id).finally(() => { isDone = true })
  for (; !isDone; await Promise.race([ended, delay(500)])) await w.request(claim)
  const { sealed_password } = ready(await ended)
  const password = await open(sealed_password)
  t.ok(w.panel.login(`${member_id}@${DOMAIN}`, password), 'has an account with the password that is sent')

  const gaveUp = w.lines.length
  opened.resolve(undefined)
  for (; !w.lines.slice(gaveUp).some((line) => line.includes('CLAIM_ELSEWHERE')); await delay(20));
  t.ok(w.panel.login(`${member_id}@${DOMAIN}`, password), 'and keeps it when the first goes on')
})
