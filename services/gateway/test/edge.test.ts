import t from 'tap'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { ErrorBody } from '../../../contracts/http.ts'
import { validatorOf } from '../../common/envelope.ts'
import { LATENESS_MS_MAX, REQUEST_MS_MAX } from '../bounds.ts'
import type { App } from '../gateway.ts'
import { FORM, startWorld } from './world.ts'

const world = await startWorld(t)
/** What a busy machine may add to a time. */
const SLACK_MS = 3_000

async function listening (app: App): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

/** A client that writes what it likes and keeps its side open for as long as it is let. */
function rawClient (port: number): { socket: Socket, answer: Promise<string> } {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('utf8')
  let text = ''
  socket.on('data', (chunk: string) => { text += chunk })
  const answer = new Promise<string>((resolve) => {
    for (const over of ['end', 'close', 'error']) socket.once(over, () => { resolve(text) })
  })
  return { socket, answer }
}

async function sent (port: number, text: string): Promise<string> {
  const { socket, answer } = rawClient(port)
  socket.write(text)
  const all = await answer
  socket.destroy()
  return all
}

function isError (answer: string): boolean {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return /content-type: application\/json/i.test(head) && validatorOf(ErrorBody).Check(JSON.parse(body))
}

t.test('every answer carries the headers that protect a browser', async (t) => {
  const app = await world.app(t)
  const html = { accept: 'text/html' }
  const asked = [
    '/', '/style.css', '/api/templates', '/api/openapi.json', '/healthz', '/claim/nonsense', { url: '/elsewhere', headers: html }, { url: '/%', headers: html }, `/api/claim/${'x'.repeat(200)}/status`,
    { method: 'POST' as const, url: '/', payload: 'x=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, { method: 'DELETE' as const, url: '/', headers: html },
    { method: 'POST' as const, url: '/api/claim', payload: FORM }, { method: 'POST' as const, url: '/api/claim', payload: 'x'.repeat(20_000), headers: { 'content-type': 'application/json' } },
  ]
  for (const request of asked) {
    const { headers, statusCode } = await app.inject(request)
    const name = `${statusCode} ${typeof request === 'string' ? request.slice(0, 30) : `${request.method ?? 'GET'} ${request.url}`}`
    t.match(headers, { 'content-security-policy': /^default-src 'none';.*frame-ancestors 'none'/, 'x-content-type-options': 'nosniff' }, name)
    t.notMatch(headers['content-security-policy'], /unsafe|\*/)
    t.same([headers['server'], headers['x-powered-by']], [undefined, undefined], 'and none that tells what answers')
  }
  t.match((await app.inject('/')).headers, { 'strict-transport-security': /^max-age=31536000/, 'referrer-policy': 'no-referrer', 'x-frame-options': 'DENY', 'cross-origin-opener-policy': 'same-origin' })
})

t.test('what is internal is not here', async (t) => {
  const app = await world.app(t)
  for (const url of ['/metrics', '/internal/check-member', '/internal/pairing', '/internal/pairing.png', '/__double/state', '/__anything', '/.env', '/config', '/api/', '/readyz/', '//metrics', '/api/../metrics', '/api/%2e%2e/metrics']) {
    for (const method of ['GET', 'POST', 'OPTIONS', 'TRACE'] as const) {
      const response = await app.inject({ method, url, headers: { 'x-internal-secret': 'an-internal-secret-of-tests' } })
      t.match([response.statusCode, response.json()], [404, { error: { code: 'NOT_FOUND' } }], `${method} ${url}`)
      t.ok(validatorOf(ErrorBody).Check(response.json()))
    }
  }
})

t.test('bytes that are no proper request', async (t) => {
  const port = await listening(await world.app(t))
  const post = 'POST /api/claim HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  const wrong: ReadonlyArray<readonly [string, number, string]> = [
    ['no HTTP', 400, 'this is no request\r\n\r\n'],
    ['a made-up method', 400, 'BREW / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no Host', 400, 'GET /api/templates HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['two lengths', 400, `${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
    ['a length and chunks, which proxies read differently', 400, `${post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['chunks that are none', 400, `${post}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
    ['endless headers', 431, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['an endless address', 431, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['a tunnel', 400, 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n'],
    ['an unfulfillable wish', 400, `${post}Expect: the-unexpected\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`],
    ['another protocol', 404, 'GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n'],
  ]
  for (const [name, status, bytes] of wrong) {
    const answer = await sent(port, bytes)
    t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), name)
    t.ok(isError(answer), 'in the shape of every error')
    t.notMatch(answer, /Parse Error|HPE_|node:|    at |^server:|x-powered-by/im, 'which tells nothing of what reads it')
    t.match(answer, /x-content-type-options: nosniff/i)
  }
})

t.test('clients that take their time are cut off', async (t) => {
  const app = await world.app(t)
  const port = await listening(app)
  const boundMs = REQUEST_MS_MAX + LATENESS_MS_MAX + SLACK_MS
  const slowly = async (beginning: string, byte: string): Promise<{ answer: string, afterMs: number }> => {
    const began = performance.now()
    const { socket, answer } = rawClient(port)
    socket.write(beginning)
    const drip = setInterval(() => { if (byte !== '' && socket.writable) socket.write(byte) }, 1_000)
    const text = await answer
    clearInterval(drip)
    return { answer: text, afterMs: performance.now() - began }
  }
  const [header, body, chunks, silent, second] = await Promise.all([
    slowly('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ', 'x'),
    slowly('POST /api/claim HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n', ' '),
    slowly('POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\nx\r\n'),
    slowly('', ''),
    slowly('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-Slow: ', 'x'),
  ])
  for (const [name, { answer, afterMs }] of Object.entries({ header, body, chunks, silent })) {
    t.ok(afterMs > REQUEST_MS_MAX - 1_000 && afterMs < boundMs, `${name}: after ${Math.round(afterMs)} ms`)
    t.match(answer, /^HTTP\/1\.1 408 /)
    t.ok(isError(answer))
  }
  t.match([second.answer, second.afterMs < boundMs], [/^HTTP\/1\.1 200 .*HTTP\/1\.1 408 /s, true], 'also with the second request of a connection')
  const held = async () => await new Promise<number>((resolve) => { app.server.getConnections((_, count) => { resolve(count) }) })
  for (let tries = 0; await held() > 0 && tries < 200; tries++) await delay(25)
  t.equal(await held(), 0, 'and holds no connection of who does not close their side')
})

t.test('connections are bounded', async (t) => {
  const port = await listening(await world.app(t, { HTTP_SOCKETS_MAX: 10 }))
  const request = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
  const open = Array.from({ length: 10 }, () => rawClient(port))
  for (const { socket } of open) {
    socket.write(request)
    await once(socket, 'data')
  }
  t.equal(await sent(port, request), '', 'one too many is closed without an answer')
  open[0]?.socket.destroy()
  await open[0]?.answer
  let answer = ''
  for (let tries = 0; answer === '' && tries < 50; tries++) answer = await sent(port, request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
  t.match(answer, /^HTTP\/1\.1 200 /, 'and taken when another has gone')
  for (const { socket } of open) socket.destroy()
})
