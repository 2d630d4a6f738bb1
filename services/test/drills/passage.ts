// A way from one service to another that can be cut, as by a firewall: who comes is turned away.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Passage {
  readonly url: string
  /** Nothing gets through before that. */
  readonly leadTo: (url: string) => void
  readonly cut: () => void
  readonly mend: () => void
  readonly close: () => Promise<void>
}

export async function startPassage (): Promise<Passage> {
  const open = new Set<Socket>()
  let [host, port, isCut] = ['', 0, false]
  const server = createServer((from) => {
    open.add(from)
    from.once('close', () => open.delete(from))
    from.on('error', () => {})
    if (isCut || port === 0) {
      from.destroy()
      return
    }
    const to = connect(port, host)
    to.on('error', () => { from.destroy() })
    from.once('close', () => { to.destroy() })
    from.pipe(to).pipe(from)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const drop = (): void => { for (const socket of open) socket.destroy() }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo: (url) => { [host, port] = [new URL(url).hostname, Number(new URL(url).port)] },
    cut: () => {
      isCut = true
      drop()
    },
    mend: () => {
      isCut = false
      drop()
    },
    close: async () => {
      drop()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
