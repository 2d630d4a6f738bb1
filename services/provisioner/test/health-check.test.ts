import t from 'tap'
import { getEventListeners, once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createHealthCheck } from '../health-check.ts'

const isUp = createHealthCheck({ everyMs: 20, timeoutMs: 300, now: Date.now })
const never = new AbortController().signal

async function listening (t: { teardown: (end: () => void) => void }, accept: (socket: Socket) => void, port = 0): Promise<{ host: string, port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => { sockets.add(socket); socket.on('error', () => {}); accept(socket) })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => { for (const socket of sockets) socket.destroy(); server.close() })
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

t.test('a server is up', async (t) => {
  t.ok(await isUp(await listening(t, () => {}), Date.now() + 1_000, never), 'when its port keeps a connection')
  t.ok(await isUp(await listening(t, (socket) => { socket.end('hello') }), Date.now() + 1_000, never), 'or says something')
  t.ok(await isUp(await listening(t, () => {}), 0, never), 'even when we come late')
})

t.test('a server is not up', async (t) => {
  t.notOk(await isUp(await listening(t, (socket) => { socket.destroy() }), Date.now() + 100, never), 'when a proxy accepts for it and hangs up')
  t.notOk(await isUp({ host: '127.0.0.1', port: 1 }, Date.now() + 100, never), 'when nothing listens')
})

t.test('a server that comes up later is seen', async (t) => {
  const { port } = await listening(t, (socket) => { socket.destroy() })
  let tries = 0
  const late = await listening(t, (socket) => { if (++tries < 3) socket.destroy() })
  t.not(port, late.port)
  t.ok(await isUp(late, Date.now() + 5_000, never))
  t.equal(tries, 3)
})

t.test('a wait that is stopped ends at once', async (t) => {
  const stop = new AbortController()
  const waiting = isUp({ host: '127.0.0.1', port: 1 }, Date.now() + 60_000, stop.signal)
  stop.abort()
  await t.rejects(waiting, { code: 'STOPPING' })
})

t.test('a wait that is stopped while a connection is kept ends at once, too', async (t) => {
  const stop = new AbortController()
  const accepted = Promise.withResolvers<Socket>()
  const waiting = isUp(await listening(t, accepted.resolve), Date.now() + 60_000, stop.signal)
  const socket = await accepted.promise
  stop.abort()
  await t.rejects(waiting, { code: 'STOPPING' })
  if (!socket.destroyed) await once(socket.resume(), 'close')
})

t.test('nothing of a check stays with a signal that lasts', async (t) => {
  const { signal } = new AbortController()
  for (const address of [await listening(t, () => {}), await listening(t, (socket) => { socket.destroy() }), { host: '127.0.0.1', port: 1 }]) await isUp(address, Date.now() + 100, signal)
  t.equal(getEventListeners(signal, 'abort').length, 0)
})
