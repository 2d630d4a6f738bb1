// A ledger with a past: events as claim-store signs them, put on the stream of a server that syncs now and then, because making a million wait for the disk measures nothing.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { createInbox, type NatsConnection } from '@nats-io/transport-node'
import { serverConfig, startKlaimNats, type NatsSeeds } from '../../deploy/staging/klaim-nats.ts'
import { startNats } from '../../deploy/staging/nats/nats-server.ts'
import { evolve, type Claim, type ClaimEvent } from '../../services/claim-store/claim.ts'
import { createMac } from '../../services/claim-store/mac.ts'
import { written } from '../../services/claim-store/record.ts'
import { inboxPrefixOf } from '../../contracts/access.ts'
import { subjectOf } from '../../contracts/define.ts'
import { memberLeft } from '../../contracts/events/members.ts'
import { CONSUMERS } from '../../contracts/streams.ts'
import { connectNats } from '../../services/common/connect.ts'
import { encodeEvent, eventId, MAC_HEADER } from '../../services/common/envelope.ts'
import { memberIdOf } from '../../services/common/member-id.ts'
import { waJidOf } from '../../services/test/crowd.ts'

export const MEMBER_ID_KEY = 'a key of pseudonyms for benches only'
export const LEDGER_KEY = 'a-key-of-the-ledger-for-benches-only'
/** Published before the oldest of them is acknowledged. */
const AT_ONCE = 2_000
const SILENCE_MS_MAX = 120_000
/** What a departure is decided on, and believed for: it stands on MEMBERS. */
const LEAVE = 'bench'
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
  const mac = createMac(LEDGER_KEY)
  const stored = storing(connection)
  let [events, published] = [0, 0]
  const publish = (subject: string, { headers, body }: Pick<ReturnType<typeof encodeEvent>, 'headers' | 'body'>): void => {
    // Without its id: what is older than an hour is not looked for any more, either.
    connection.publish(subject, body, { headers, reply: stored.inbox })
    published++
  }
  for (let member = 1; member <= members; member++) {
    let claim: Claim = { status: 'none' }
    for (const event of history(member)) {
      const { definition, key, data } = written(claim, event)
      const time = new Date()
      const causation = event.type === 'DeletionScheduled' ? eventId(memberLeft, LEAVE) : undefined
      if (causation !== undefined) {
        const left = { member_id: memberOf(member), wa_jid: waJidOf(member), group_id: '120363000000000001@g.us', occurred_at: time.toISOString(), observed_by: 'roster' } as const
        publish(subjectOf(memberLeft, left), encodeEvent(memberLeft, { key: LEAVE, author: 'bot', time, data: left, correlation: undefined, causation: undefined }))
      }
      const encoded = encodeEvent(definition, { key, author: 'claim-store', time, data: data as never, correlation: claimIdOf(member), causation })
      const subject = subjectOf(definition, data as never)
      encoded.headers.set(MAC_HEADER, mac.sign({ subject, id: encoded.id, type: definition.type, time: time.toISOString(), body: encoded.body }))
      publish(subject, encoded)
      claim = evolve(claim, event)
      events++
    }
    await stored.upTo(published - AT_ONCE)
  }
  await stored.upTo(published)
  // Who left was decided on already.
  const jsm = await jetstreamManager(connection)
  const { state: { last_seq: last } } = await jsm.streams.info(memberLeft.stream)
  for (const { stream, name } of CONSUMERS) if (stream === memberLeft.stream && last > 0) await jsm.consumers.reset(stream, name, last + 1)
  await connection.close()
  await nats.kill('SIGTERM')
  await nats.close()
  rmSync(directory, { recursive: true, force: true })
  return events
}

/** Counts what NATS has stored of what is published with this inbox as its reply: one subscription for all, where the client's own `publish` keeps a promise and a timer for each. */
function storing (connection: NatsConnection): { readonly inbox: string, readonly upTo: (count: number) => Promise<void> } {
  const inbox = createInbox(inboxPrefixOf('operator'))
  let [count, refusal, told] = [0, undefined as string | undefined, (): void => {}]
  connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error || message.data.length === 0 || message.string().includes('"error"')) refusal ??= error?.message ?? message.string()
      count++
      told()
    },
  })
  return {
    inbox,
    upTo: async (wanted) => {
      while (count < wanted) {
        const word = Promise.withResolvers<void>()
        const timer = setTimeout(() => { word.reject(new Error(`NATS stored ${count} of ${wanted} events, and then no more`)) }, SILENCE_MS_MAX)
        told = word.resolve
        await word.promise.finally(() => { clearTimeout(timer) })
      }
      if (refusal !== undefined) throw new Error(`NATS did not store an event: ${refusal}`)
    },
  }
}
