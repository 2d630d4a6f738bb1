// A nats-server of our own for a while, to see whether a backup can be restored. Its store is inside the directory of backups: what it holds is
// as secret as they are.
import { mkdir, rm } from 'node:fs/promises'
import { type JetStreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { inboxPrefixOf } from '../../contracts/access.ts'
import { startNats } from '../../deploy/staging/nats/nats-server.ts'
import { managerOf } from './manager.ts'

export async function withScratch<Answer> (storeDir: string, use: (scratch: { connection: NatsConnection, jsm: JetStreamManager }) => Promise<Answer>): Promise<Answer> {
  await mkdir(storeDir, { mode: 0o700 })
  const nats = await startNats({ storeDir })
  try {
    const connection = await connect({ servers: nats.url, inboxPrefix: inboxPrefixOf('operator') })
    try {
      return await use({ connection, jsm: await managerOf(connection) })
    } finally {
      await connection.close()
    }
  } finally {
    await nats.close()
    await rm(storeDir, { recursive: true, force: true })
  }
}
