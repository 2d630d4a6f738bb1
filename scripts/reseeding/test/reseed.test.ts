import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { Registry } from 'prom-client'
import { CONSUMERS, topologyBucket } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { startPanel } from '../../../deploy/staging/panel/panel.ts'
import { Entries } from '../../../services/claim-store/book-seal.ts'
import { createMac } from '../../../services/claim-store/mac.ts'
import { createSqlite, putHead, putRows } from '../../../services/claim-store/sqlite-file.ts'
import { connectNats } from '../../../services/common/connect.ts'
import { scratch } from '../../../services/common/test/scratch.ts'
import { createPanelBudget } from '../../../services/provisioner/panel-budget.ts'
import { createPanelClient } from '../../../services/provisioner/panel-client.ts'
import { createPterodactyl } from '../../../services/provisioner/pterodactyl.ts'
import { stateOf } from '../../backups/restore.ts'
import { streamOf } from '../../backups/what.ts'
import { messagesOf } from '../../rekey/ledger.ts'
import { reseed, survey } from '../reseed.ts'

const BOOK_SEQUENCE = 40
const DEATHS_AT_EACH = 2
class Died extends Error {}
const noStep = async (): Promise<void> => {}

/** A NATS without a ledger, an empty panel, and a book with a claim in each state. */
async function world (t: Test) {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const connection = await connectNats(nats.access('operator'), 'operator')
  t.teardown(() => connection.close())
  const double = await startPanel()
  t.teardown(() => double.close())
  const budget = createPanelBudget({ concurrency: { server: 1, other: 2 }, windowMs: 60_000, patienceMs: 1_000, now: Date.now })
  const panel = createPterodactyl(createPanelClient({ url: double.url, key: double.applicationKey, budget, readTimeoutMs: 5_000, writeTimeoutMs: 5_000, registry: new Registry(), stopCalls: new AbortController().signal }))
  t.teardown(() => panel.close())
  const at = '2026-03-01T12:00:00.000Z'
  const nobody = { user_id: null, server_id: null, allocation_id: null, deletion_scheduled_at: null, delete_job_id: null }
  const claims = ['active', 'creating', 'deleting', 'deleted', 'failed'].map((status, n) => ({
    claim_id: randomUUID(), wa_jid: `6281200000${n}01@s.whatsapp.net`, status, ...nobody, ...(status === 'creating' || status === 'failed' ? {} : { user_id: 70 + n, server_id: 80 + n, allocation_id: 90 + n }),
    created_at: at, updated_at: at, last_event_at: at,
  }))
  const path = join(scratch(t), 'claims.json')
  writeFileSync(path, JSON.stringify({ version: 1, sequence: BOOK_SEQUENCE, written_at: at, claims }))
  const jsm = await jetstreamManager(connection)
  return {
    jsm, js: jetstream(connection), claims, path,
    options: { connection, panel, path, mac: createMac('l'.repeat(32)), memberIdKey: 'k'.repeat(32), emailDomain: 'members.klaim.invalid', replicas: 1, now: () => new Date() },
    ledger: async (): Promise<string[]> => {
      const ids: string[] = []
      for await (const { header } of messagesOf({ jsm }, 'CLAIMS')) ids.push(header.get('ce-id'))
      return ids
    },
  }
}

t.test('a reseeding that dies after every step comes to the same end', async (t) => {
  const { jsm, claims, options, ledger } = await world(t)
  const deaths = new Map<string, number>()
  for (let isOver = false; !isOver;) {
    await reseed(options, async (what) => {
      const before = deaths.get(what) ?? 0
      if (before >= DEATHS_AT_EACH) return
      deaths.set(what, before + 1)
      if (what === 'an event is written') t.equal(await stateOf(jsm, streamOf(topologyBucket)), null, 'half-way, every service waits')
      throw new Died(what)
    }).then(() => { isOver = true }, (error: unknown) => { if (!(error instanceof Died)) throw error })
  }
  t.ok(deaths.size >= 5, [...deaths].map(([what, times]) => `${times} × ${what}`).join(', '))
  t.same((await ledger()).toSorted(), claims.map(({ claim_id: id }) => `claim.restored.v1:${id}`).toSorted(), 'each claim once')
  t.ok((await jsm.streams.info('CLAIMS')).state.first_seq > BOOK_SEQUENCE)
  t.ok(await stateOf(jsm, streamOf(topologyBucket)), 'services may start')
  for (const { name, stream } of CONSUMERS) {
    const { num_pending, num_ack_pending } = await jsm.consumers.info(stream, name)
    t.same([num_pending, num_ack_pending], [0, 0], `nobody acts on it: ${name}`)
  }
  t.match(await survey(options), { done: claims.length }, 'once more, there is nothing to write')
})

t.test('a ledger that holds anything is not written into', async (t) => {
  const { jsm, js, options, ledger, path, claims } = await world(t)
  await js.publish('claims.x.requested', '{}')
  await t.rejects(reseed(options, noStep), /the ledger holds 1 events up to 1, and the book goes to 40/, 'an older one')
  await jsm.streams.purge('CLAIMS', { seq: 500 })
  await js.publish('claims.x.requested', '{}')
  await t.rejects(reseed(options, noStep), /the ledger holds what this book does not say/, 'a foreign one')
  t.equal((await ledger()).length, 1, 'and nothing is changed')
  await jsm.streams.purge('CLAIMS')
  t.match(await reseed(options, noStep), { there: { messages: 0 } }, 'an emptied one is lost')
  t.equal((await ledger()).length, claims.length)
  writeFileSync(path, '{"version":1')
  await t.rejects(survey(options), /this is no book, or a damaged one/)
  rmSync(path)
  await t.rejects(survey(options), /there is no book/)
})

t.test('a book in SQLite is as good, and one that somebody edited is none', async (t) => {
  const { options, path, claims } = await world(t)
  rmSync(path)
  const lines = claims.map((entry) => [entry.claim_id, JSON.stringify(entry)] as const)
  const head = { sequence: BOOK_SEQUENCE, written_at: '2026-03-01T12:00:00.000Z' }
  const database = await createSqlite(path.replace('.json', '.sqlite'))
  putRows(database, lines)
  putHead(database, { ...head, seal: new Entries(lines.map(([, line]) => line)).seal(head, lines.length) })
  database.close()
  t.equal((await survey(options)).claims.length, claims.length)
  t.equal((await survey({ ...options, path: path.replace('.json', '.sqlite') })).claims.length, claims.length, 'by its own name, too')
  const again = new DatabaseSync(path.replace('.json', '.sqlite'))
  putHead(again, { ...head, sequence: BOOK_SEQUENCE + 1, seal: 'f'.repeat(64) })
  again.close()
  await t.rejects(survey(options), /not what claim-store wrote/)
})
