import { readFileSync } from 'node:fs'
import { connect, nkeyAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { Type } from 'typebox'
import { inboxPrefixOf } from '../../contracts/access.ts'
import type { ServiceName } from '../../contracts/define.ts'

/** How a process reaches NATS, in its configuration. */
export const NatsConfig = {
  /** Addresses by comma. */
  NATS_URL: Type.String({ minLength: 1 }),
  /** Seed of the nkey of this service's own user. Its rights are those of contracts/access.ts. */
  NATS_NKEY_SEED: Type.String({ pattern: '^SU[A-Z2-7]{56}$' }),
  /** Path of the certificate authority of NATS, where it speaks TLS. Without it the connection is not encrypted. */
  NATS_CA_FILE: Type.Optional(Type.String({ minLength: 1 })),
}
export interface NatsAccess { readonly servers: string, readonly seed: string, readonly caFile?: string | undefined }

export const natsOf = (config: { readonly NATS_URL: string, readonly NATS_NKEY_SEED: string, readonly NATS_CA_FILE?: string }): NatsAccess =>
  ({ servers: config.NATS_URL, seed: config.NATS_NKEY_SEED, caFile: config.NATS_CA_FILE })

/** Waits for ever for a server, and reconnects for ever. Ends only where the server refuses the credentials: see `closed()`. */
export async function connectNats ({ servers, seed, caFile }: NatsAccess, service: ServiceName): Promise<NatsConnection> {
  return await connect({
    servers: servers.split(','), name: service, inboxPrefix: inboxPrefixOf(service), authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
    maxReconnectAttempts: -1, waitOnFirstConnect: true, reconnectTimeWait: 500,
    // A node that hangs is left after 4 to 6 s, and not waited for when it takes a new connection without a word: both before a request gives up.
    pingInterval: 2_000, maxPingOut: 2, timeout: 2_500,
    // For each request the client would note twice where it was made, 30 µs of processor, in case it fails; who asks says so in a Fault anyway.
    noAsyncTraces: true,
    // The handshake comes before anything else, so that nothing is ever said in clear.
    ...(caFile === undefined ? {} : { tls: { ca: readFileSync(caFile, 'utf8'), handshakeFirst: true } }),
  })
}
