// A ledger with a past: events as claim-store signs them, put on the stream of a server that syncs now and then, because making a million wait for the disk measures nothing.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstream } from '@nats-io/jetstream'
import { serverConfig, startKlaimNats, type NatsSeeds } from '../../deploy/staging/klaim-nats.ts'
import { startNats } from '../../deploy/staging/nats/nats-server.ts'
import { evolve, type Claim, type ClaimEvent } from '../../services/claim-store/claim.ts'
import { createMac } from '../../services/claim-store/mac.ts'
import { written } from '../../services/claim-store/record.ts'
import { subjectOf } from '../../contracts/define.ts'
import { connectNats } from '../../services/common/connect.ts'
import { encodeEvent, MAC_HEADER } from '../../services/common/envelope.ts'
import { memberIdOf } from '../../services/common/member-id.ts'
import { waJidOf } from '../../services/test/crowd.ts'
import { inFlight } from './crowd.ts'

export const MEMBER_ID_KEY = 'a key of pseudonyms for benches only'
export const LEDGER_KEY = 'a-key-of-the-ledger-for-benches-only'
const AT_ONCE = 500
const SEALED = `${'e'.repeat(120)}..${'i'.repeat(16)}.${'c'.repeat(43)}.${'t'.repeat(22)}`

export const claimIdOf = (member: number): string => `00000000-0000-4000-8000-${String(member).padStart(12, '0')}`
export const memberOf = (member: number): string => memberIdOf(MEMBER_ID_KEY, waJidOf(member))

/** What becomes of a member's claim: asked for and active, and where `dueAt` (epoch ms) is given, left. */
export function historyOf (member: number, dueAt?: number): ClaimEvent[] {
  const claimId = claimIdOf(member)
  const server = { user_id: member + 1, server_id: member + 1, allocation_id: member + 1, identifier: String(member).padStart(8, '0').slice(-8), address: { host: 'node1.example', port: 25_565 }, username: `user${member}`, sealed_password: SEALED }
  const leftAt = Date.now()
  return [
    { type: 'Requested', at: leftAt, claimId, memberId: memberOf(member), waJid: waJidOf(member), language: 'id', username: `user${member}`, template: 'nodejs', templateVersion: 1, idempotencyKeyHash: undefined },
    { type: 'Activated', server },
    ...(dueAt === undefined ? [] : [{ type: 'DeletionScheduled', departure: { deleteJobId: `${claimId}-d1`, dueAt, leftAt }, reason: 'left', movement: undefined } as const]),
  ]
}

/** Makes a store of NATS with the streams of Klaim and these histories; answers how many events that is. */
export async function filled (storeDir: string, seeds: NatsSeeds, members: number, history: (member: number) => ClaimEvent[] = historyOf): Promise<number> {
  await (await startKlaimNats({ storeDir, seeds })).close()
  const directory = mkdtempSync(join(tmpdir(), 'klaim-bench-conf-'))
  const configFile = join(directory, 'nats.conf')
  writeFileSync(configFile, serverConfig(seeds.keys).replace('sync_interval: always', 'sync_interval: "2m"'))
  const nats = await startNats({ configFile, storeDir })
  const connection = await connectNats({ servers: nats.url, seed: seeds.seeds.operator }, 'operator')
  const js = jetstream(connection)
  const mac = createMac(LEDGER_KEY)
  let events = 0
  await inFlight(members, AT_ONCE, async (n) => {
    let claim: Claim = { status: 'none' }
    for (const event of history(n + 1)) {
      const { definition, key, data } = written(claim, event)
      const time = new Date()
      const { id, headers, body } = encodeEvent(definition, { key, author: 'claim-store', time, data: data as never, correlation: claimIdOf(n + 1), causation: undefined })
      const subject = subjectOf(definition, data as never)
      headers.set(MAC_HEADER, mac.sign({ subject, id, type: definition.type, time: time.toISOString(), body }))
      // Without its id: what is older than an hour is not looked for any more, either.
      await js.publish(subject, body, { headers, timeout: 30_000 })
      claim = evolve(claim, event)
      events++
    }
  })
  await connection.close()
  await nats.kill('SIGTERM')
  await nats.close()
  rmSync(directory, { recursive: true, force: true })
  return events
}
