/**
 * A stand-in for WhatsApp's server that the real, unmodified Baileys connects to: `await startWhatsApp()`. Each double has its own port and
 * its own world, so that tests run side by side.
 */
import { once } from 'node:events'
import { WebSocketServer } from 'ws'
import { closeConnections } from './closing.ts'
import { type Control, startControl } from './control.ts'
import { createDouble } from './double.ts'
import { createHandle, type Handle } from './handle.ts'
import { serve } from './server.ts'
import type { Seed } from './world.ts'

export interface Options extends Seed {
  host?: string
  /** 0, the default, takes a free port. */
  port?: number
  /** false: no control API. */
  controlPort?: number | false
  stateFile?: string | undefined
}

export interface WhatsApp extends Handle {
  /** For `waWebSocketUrl`. */
  url: string
  controlUrl: string
  close: () => Promise<void>
}

const stanzaBytesMax = 4 * 1024 * 1024

export async function startWhatsApp ({ host = '127.0.0.1', port = 0, controlPort = 0, stateFile, ...seed }: Options = {}): Promise<WhatsApp> {
  const double = createDouble(seed, stateFile)
  // A state file that cannot be written is found out now, not at the first message.
  await double.save()
  const handle = createHandle(double)
  const server = new WebSocketServer({ host, port, path: '/ws/chat', maxPayload: stanzaBytesMax })
  server.on('connection', (socket) => { serve(double, socket) })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  const control: Control | undefined = controlPort === false ? undefined : await startControl(handle, host, controlPort)
  return {
    ...handle,
    // A copy would stay the first one.
    get botNumber () { return handle.botNumber },
    url: `ws://${host}:${address.port}/ws/chat`,
    controlUrl: control?.url ?? '',
    async close () {
      double.stop()
      closeConnections(double, 428)
      await control?.close()
      await new Promise((resolve) => { server.close(resolve) })
      await double.save()
    }
  }
}
