import t from 'tap'
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { startWorld } from './world.ts'

const world = await startWorld(t)
const LOOK = 'GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n'

async function asked (socket: Socket): Promise<string> {
  socket.write(LOOK)
  const [answer] = await once(socket, 'data') as [string]
  return answer
}

/** Whether somebody new is let in. */
async function isOpen (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const answer = await once(socket, 'connect').then(() => true, () => false)
  socket.destroy()
  return answer
}

t.test('a gateway that stops', async (t) => {
  const app = await world.app(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const [quick, quiet] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')].map((socket) => socket.setEncoding('utf8')) as [Socket, Socket]
  for (const socket of [quick, quiet]) t.match(await asked(socket), /^HTTP\/1\.1 200 OK\r\n(?!.*connection: close)/is)

  const stopped = app.close()
  while (await isOpen(port)) { /* asked again */ }
  const last = await asked(quick)
  t.match(last, /^HTTP\/1\.1 200 OK\r\n/, 'answers who comes over a connection that was open')
  t.match(last, /connection: close/i, 'as the last answer of this connection')
  await Promise.all([once(quiet, 'close'), stopped])
  t.pass('and leaves who says nothing more')
})

t.test('one that nobody is connected to does not wait', async (t) => {
  const app = await world.app(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const began = performance.now()
  await app.close()
  t.ok(performance.now() - began < 900)
})
