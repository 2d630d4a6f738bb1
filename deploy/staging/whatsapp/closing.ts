/** Every way in which WhatsApp ends a connection, by the code that Baileys reports for it (`lastDisconnect.error.output.statusCode`). */
import type { Connection, Double } from './double.ts'
import { failure, streamError } from './stanzas/login.ts'

export const closeCodes = [401, 402, 403, 405, 406, 408, 409, 411, 418, 428, 440, 500, 503, 515] as const
export type CloseCode = typeof closeCodes[number]

/** Ends the connections of linked devices. After 401 the device is unlinked: its next login fails too. */
export function closeConnections (double: Double, code: CloseCode): void {
  for (const connection of double.connections) {
    if (code === 401 && connection.companion) forget(double, connection.companion.device)
    closeOne(connection, code)
  }
  double.changed()
}

/** The phone logs a linked device out, connected or not. */
export function unlink (double: Double, device: number): void {
  forget(double, device)
  for (const connection of double.connections) if (connection.companion?.device === device) closeOne(connection, 401)
  double.changed()
}

function forget (double: Double, device: number): void {
  double.world.companions = double.world.companions.filter((companion) => companion.device !== device)
}

function closeOne (connection: Connection, code: CloseCode): void {
  switch (code) {
    case 401: return connection.end(streamError(401, 'device_removed'))
    // The client notices after its keep-alive interval and five seconds.
    case 408: connection.isSilent = true; return
    case 428: return connection.cut()
    case 440: return connection.end(streamError(undefined, 'replaced'))
    case 500: case 503: case 515: return connection.end(streamError(code))
    case 402: case 403: case 405: case 406: case 409: case 411: case 418: return connection.end(failure(code))
  }
}
