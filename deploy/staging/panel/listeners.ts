/** The running servers' ports: real listeners, so that a health check from outside proves something. */
import { createServer } from 'node:http'
import type { Server as HttpServer } from 'node:http'
import { once } from 'node:events'

export interface Listeners {
  /** Resolves when the port listens, or when it cannot: then the reason has been logged and `has` stays false. */
  open: (uuid: string, ip: string, port: number) => Promise<void>
  close: (uuid: string) => void
  has: (uuid: string) => boolean
  closeAll: () => void
}

export function createListeners (log: (line: string) => void): Listeners {
  const open = new Map<string, HttpServer>()

  function close (uuid: string): void {
    const server = open.get(uuid)
    if (server === undefined) return
    open.delete(uuid)
    server.close()
    server.closeAllConnections()
  }

  return {
    async open (uuid, ip, port) {
      close(uuid)
      const server = createServer((_request, response) => { response.end('It works.\n') })
      server.maxConnections = 64
      open.set(uuid, server)
      try {
        server.listen(port, ip)
        await once(server, 'listening')
        server.on('error', error => { log(`port ${ip}:${port}: ${error.message}`) })
      } catch (error) {
        // Another process has the port: on a real node too the panel would not know, and the server would not answer.
        log(`cannot listen on ${ip}:${port}: ${(error as NodeJS.ErrnoException).code}`)
        if (open.get(uuid) === server) open.delete(uuid)
      }
    },
    close,
    has: uuid => open.get(uuid)?.listening === true,
    closeAll () { for (const uuid of open.keys()) close(uuid) }
  }
}
