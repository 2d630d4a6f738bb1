/** The WebSocket side: handshake, login, and who handles which stanza. */
import { decodeBinaryNode, encodeBinaryNode, type proto } from '@whiskeysockets/baileys'
import type { WebSocket } from 'ws'
import { type Connection, type Double, kindOf, settle } from './double.ts'
import { createNoiseServer } from './noise.ts'
import { offerPairing } from './pairing.ts'
import { type Stanza } from './stanza.ts'
import { login } from './stanzas/login.ts'
import { onMessage } from './stanzas/message.ts'
import { answer } from './stanzas/queries.ts'
import { onReceipt } from './stanzas/receipt.ts'

const kindsMax = 500

/** Speaks with one client until it goes. */
export function serve (double: Double, socket: WebSocket): void {
  let inbox = Promise.resolve()
  const noise = createNoiseServer({
    send: (frame) => { socket.send(frame) },
    onClient: (payload, noiseKey) => { admit(double, connection, payload, noiseKey) },
    onFrame: (frame) => {
      inbox = handleAfter(inbox, frame)
    }
  })
  const connection: Connection = {
    openedAt: Date.now(),
    isSilent: false,
    send (stanza) {
      if (connection.isSilent || double.knobs.deaf === 'everything' || socket.readyState !== socket.OPEN) return
      socket.send(noise.seal(encodeBinaryNode(stanza)))
    },
    end (last) {
      if (last) connection.send(last)
      double.connections.delete(connection)
      socket.close()
    },
    cut () {
      double.connections.delete(connection)
      socket.terminate()
    }
  }

  async function handleAfter (before: Promise<void>, frame: Buffer): Promise<void> {
    await before
    try {
      await handle(double, connection, await decodeBinaryNode(frame))
    } catch (error) {
      double.failed(error)
    }
  }

  double.connections.add(connection)
  socket.on('message', (data, isBinary) => {
    try {
      if (!isBinary || !Buffer.isBuffer(data)) throw new Error('binary frames only')
      noise.receive(data)
    } catch (error) {
      double.failed(error)
      connection.cut()
    }
  })
  socket.on('error', () => { connection.cut() })
  socket.on('close', () => {
    double.connections.delete(connection)
    double.noticed()
  })
}

function admit (double: Double, connection: Connection, payload: proto.ClientPayload, noiseKey: Buffer): void {
  if (payload.devicePairingData) offerPairing(double, connection, payload.devicePairingData, noiseKey)
  else login(double, connection, payload, noiseKey)
}

/** Stanzas of one client are handled in the order they came; slow answers are given later and do not hold up the next. */
async function handle (double: Double, connection: Connection, stanza: Stanza): Promise<void> {
  count(double, stanza)
  if (connection.isSilent || double.knobs.deaf === 'everything') return
  const { companion } = connection
  switch (stanza.tag) {
    case 'iq': return answer(double, connection, stanza)
    case 'message': return companion && onMessage(double, connection, companion, stanza)
    case 'receipt': return companion && onReceipt(double, connection, companion, stanza)
    case 'ack':
      if (companion) settle(companion, stanza.attrs.class ?? '', stanza.attrs.id, stanza.attrs.type)
      return double.changed()
    default: // presence, ib, chatstate: said for the server's information
  }
}

function count (double: Double, stanza: Stanza): void {
  const kind = kindOf(stanza)
  if (kind in double.counters || Object.keys(double.counters).length < kindsMax) double.counters[kind] = (double.counters[kind] ?? 0) + 1
}
