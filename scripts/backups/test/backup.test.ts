import t, { type Test } from 'tap'
import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { subjectOf, type ServiceName } from '../../../contracts/define.ts'
import { claimRequested } from '../../../contracts/events/claims.ts'
import { provisioningBucket, rosterBucket } from '../../../contracts/streams.ts'
import { startKlaimNats, type KlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { openBook } from '../../../services/claim-store/book.ts'
import { kindAt, placesOf, type BookKind } from '../../../services/claim-store/book-file.ts'
import { openLedger } from '../../../services/claim-store/ledger.ts'
import { createMac } from '../../../services/claim-store/mac.ts'
import { Projection } from '../../../services/claim-store/projection.ts'
import { createBus, type Bus } from '../../../services/common/bus.ts'
import { connectNats } from '../../../services/common/connect.ts'
import { encodeEvent, MAC_HEADER } from '../../../services/common/envelope.ts'
import { codeOf } from '../../../services/common/fault.ts'
import { createLog } from '../../../services/common/log.ts'
import { memberIdOf } from '../../../services/common/member-id.ts'
import { createMetrics } from '../../../services/common/metrics.ts'
import { backUp, type BackupOptions } from '../backup.ts'
import { contentOf } from '../content.ts'
import { createBackupMetrics } from '../metrics.ts'
import { restore, survey, type RestoreOptions } from '../restore.ts'
import { COPIED } from '../what.ts'

const mac = createMac('l'.repeat(32))
const log = createLog('operator', 'fatal')
const now = (): Date => new Date()
const jidOf = (member: number): string => `62812${String(member).padStart(8, '0')}@s.whatsapp.net`

async function busOn (t: Test, nats: KlaimNats, service: ServiceName = 'operator'): Promise<Bus> {
  const bus = await createBus({ ...nats.playing(service), log, metrics: createMetrics(service), now })
  t.teardown(() => bus.close())
  return bus
}

/** A server with claims, one message of the ledger erased, buckets with replaced values, one consumer half through, and the book as claim-store writes it. */
async function world (t: Test, kind: BookKind = 'json') {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const bus = await busOn(t, nats)
  const directory = mkdtempSync(join(tmpdir(), 'klaim-backup-'))
  const claim = async (member: number): Promise<void> => {
    const claim_id = randomUUID()
    const data = { claim_id, member_id: memberIdOf('m'.repeat(32), jidOf(member)), wa_jid: jidOf(member), language: 'id' as const, username: `user${member}`, template: 'nodejs', template_version: 1 }
    // As claim-store says it. One that were there would be seen.
    const time = now()
    const { id, headers, body } = encodeEvent(claimRequested, { key: claim_id, author: 'claim-store', time, data, correlation: claim_id, causation: undefined })
    const subject = subjectOf(claimRequested, data)
    headers.set(MAC_HEADER, mac.sign({ subject, id, type: claimRequested.type, time: time.toISOString(), body }))
    await bus.raw.js.publish(subject, body, { headers, msgID: id })
  }
  for (let member = 1; member <= 8; member++) await claim(member)
  await bus.raw.jsm.streams.deleteMessage('CLAIMS', 3, true)
  // Everything in it has gone by its age; where it stands must not be forgotten.
  for (const n of [1, 2, 3]) await bus.raw.js.publish('members.abc.joined', String(n))
  await bus.raw.jsm.streams.purge('MEMBERS')
  const provisioning = await bus.bucket(provisioningBucket)
  await provisioning.put('one', 'first')
  await provisioning.put('one', 'second')
  await (await bus.bucket(rosterBucket)).put('roster', '{}')
  const consumer = await bus.raw.js.consumers.get('CLAIMS', 'provisioner-claims')
  for await (const message of await consumer.fetch({ max_messages: 4, expires: 2_000 })) await message.ackAck()

  const bookFile = join(directory, 'book', 'claims.json')
  mkdirSync(join(directory, 'book'), { mode: 0o700 })
  if (kind === 'sqlite') writeFileSync(placesOf(bookFile).wish, 'sqlite\n')
  const writeBook = async (): Promise<void> => {
    const projection = new Projection()
    const ledger = await openLedger({ bus, log, projection, mac, from: 0, reflected: 0, now })
    const book = await openBook({ path: bookFile, log, everyMs: 60_000, believedMs: 1e9, now, sequence: () => ledger.sequence() })
    for (const view of projection.views()) book.note(view)
    await book.flush()
    await book.close()
    await ledger.close()
  }
  await writeBook()
  const connection = await connectNats(nats.access('operator'), 'operator')
  t.teardown(() => connection.close())
  const options: BackupOptions = { connection, directory: join(directory, 'backups'), bookFile, mac, now }
  const restoring = (path: string): RestoreOptions => ({ connection, path, bookFile, replicas: 1, now })
  return { nats, bus, claim, options, restoring, writeBook }
}

const codeThrown = async (promise: Promise<unknown>): Promise<string> => await promise.then(() => 'nothing', codeOf)
const floorOf = async ({ raw: { jsm } }: Bus): Promise<number> => (await jsm.consumers.info('CLAIMS', 'provisioner-claims')).ack_floor.stream_seq

t.test('a backup is verified, private, and nothing half-made stays', async (t) => {
  const { options } = await world(t)
  const { name, manifest } = await backUp(options)
  t.same(manifest.streams.map((stream) => stream.name), COPIED)
  t.match(manifest.streams.find((stream) => stream.name === 'CLAIMS'), { messages: 7, first_sequence: 1, last_sequence: 8 })
  t.match(manifest.streams.find((stream) => stream.name === 'MEMBERS'), { messages: 0, last_sequence: 3 })
  t.same(manifest.book, { sequence: 8, claims: 7 })
  t.same(readdirSync(options.directory).toSorted(), [name, `${name}.sha256`].toSorted())
  t.equal(statSync(options.directory).mode & 0o777, 0o700)
  for (const file of [name, `${name}.sha256`]) t.equal(statSync(join(options.directory, file)).mode & 0o777, 0o600)
  t.match(execFileSync('sha256sum', ['-c', `${name}.sha256`], { cwd: options.directory, encoding: 'utf8' }), /OK/)
  t.match(await createBackupMetrics(options.directory).metrics(), /klaim_backup_verified_timestamp_seconds 1\d{9}\n/)
  chmodSync(options.directory, 0o755)
  t.equal(await codeThrown(backUp(options)), 'BACKUP_DIRECTORY_OPEN')
})

t.test('a book in SQLite is in the backup like every other, and is followed by one of its kind', async (t) => {
  const { options, restoring, claim, writeBook } = await world(t, 'sqlite')
  const { name, manifest } = await backUp(options)
  t.same(manifest.book, { sequence: 8, claims: 7 })
  t.match(manifest.files.find(({ path }) => path === 'claims.json'), { path: 'claims.json' })
  await claim(9)
  await writeBook()
  const path = join(options.directory, name)
  const { overwriting, unknown } = await survey(restoring(path))
  t.equal(unknown.length, 1, 'what the backup does not know is found in it')
  const { bookAside } = await restore(restoring(path), overwriting)
  t.match(bookAside, /claims\.sqlite\.damaged-\d+$/)
  await writeBook()
  t.equal(await kindAt(options.bookFile), 'sqlite')
  t.same((await backUp({ ...options, now: () => new Date(Date.now() + 1_000) })).manifest.book, { sequence: 8, claims: 7 })
})

t.test('a lost store is restored as it was: sequences, gaps, headers, times, and how far each consumer is', async (t) => {
  const { nats, bus, options, restoring } = await world(t)
  const before = await Promise.all(COPIED.map(async (name) => await contentOf(bus.raw.jsm, name, 1e9)))
  const floor = await floorOf(bus)
  t.equal(floor, 5, 'four of the seven that are left are handled')
  const { name } = await backUp(options)
  const path = join(options.directory, name)
  await nats.kill()
  rmSync(nats.storeDir, { recursive: true })
  await nats.restart()

  const seen = await survey(restoring(path))
  t.equal(seen.overwriting, undefined, 'there is nothing')
  t.equal(seen.hasSession, false)
  t.notOk(readdirSync(options.directory).some((file) => file.startsWith('.restore')), 'looking leaves nothing')
  t.equal(await codeThrown(restore(restoring(path), 'abcdef12')), 'RESTORE_REFUSED', 'nothing can be confirmed where nothing is')
  const { bookAside } = await restore(restoring(path), undefined)
  t.match(bookAside, /claims\.json\.damaged-\d+$/)
  t.same(await Promise.all(COPIED.map(async (stream) => await contentOf(bus.raw.jsm, stream, 1e9))), before)
  t.equal((await bus.raw.js.publish('members.abc.joined', 'next')).seq, 4, 'what comes next is later than what was')
  t.equal(await floorOf(bus), floor, 'nothing is delivered that was handled')
  t.match(await bus.raw.jsm.consumers.info('SERVERS', 'claim-store-servers'), { config: { deliver_policy: 'all' }, delivered: { stream_seq: 0 } })
  t.ok(filesHolding(nats.storeDir, jidOf(4)).length > 0)
  t.same(filesHolding(nats.storeDir, jidOf(3)), [], 'who was erased before the backup is in no file of what is restored')
  const projection = new Projection()
  const ledger = await openLedger({ bus, log, projection, mac, from: 0, reflected: 0, now })
  t.equal([...projection.views()].length, 7, 'claim-store reads it, signatures and all')
  await ledger.close()
})

t.test('what is there is overwritten only by who has seen it', async (t) => {
  const { bus, nats, claim, options, restoring, writeBook } = await world(t)
  const path = join(options.directory, (await backUp(options)).name)
  await claim(20)
  await writeBook()
  const seen = await survey(restoring(path))
  t.match(seen.overwriting, /^[0-9a-f]{8}$/)
  t.same(seen.unknown.map(({ wa_jid }) => wa_jid), [jidOf(20)], 'a claim that the backup does not know is named')
  t.equal(await codeThrown(restore(restoring(path), undefined)), 'RESTORE_REFUSED', 'not unasked')
  await claim(21)
  t.equal(await codeThrown(restore(restoring(path), seen.overwriting)), 'RESTORE_REFUSED', 'not what came meanwhile')
  t.equal((await bus.raw.jsm.streams.info('CLAIMS')).state.last_seq, 10, 'nothing was changed')
  await busOn(t, nats, 'claim-store')
  t.equal(await codeThrown(survey(restoring(path))), 'RESTORE_REFUSED', 'not while a service runs')
})

t.test('what goes into a backup in a wrong state comes out as a failure, and the good one stays', async (t) => {
  const { options, claim } = await world(t)
  const good = (await backUp(options)).name
  const book = JSON.parse(readFileSync(options.bookFile, 'utf8')) as { claims: Array<{ status: string }> }
  if (book.claims[0]) book.claims[0].status = 'deleted'
  cpSync(options.bookFile, `${options.bookFile}.good`)
  writeFileSync(options.bookFile, JSON.stringify(book))
  const later = { ...options, now: () => new Date(Date.now() + 100 * 24 * 3_600_000) }
  t.equal(await codeThrown(backUp(later)), 'BOOK_DIFFERS')
  const there = readdirSync(options.directory)
  t.ok(there.includes(good) && there.some((name) => name.endsWith('.failed')), 'it is kept aside, and removes nothing')
  t.match(await createBackupMetrics(options.directory).metrics(), /klaim_backups\{verified="false"\} 1/)
  renameSync(`${options.bookFile}.good`, options.bookFile)
  await claim(9)
  const { name } = await backUp(later)
  t.ok(readdirSync(options.directory).includes(name), 'a book that is behind is right as far as it goes')
  rmSync(options.bookFile)
  t.equal(await codeThrown(backUp({ ...options, now: () => new Date(Date.now() + 200 * 24 * 3_600_000) })), 'BOOK_MISSING')
})

t.test('a damaged backup is not restored', async (t) => {
  const { options, restoring } = await world(t)
  const path = join(options.directory, (await backUp(options)).name)
  // Whoever mends the sum has still to do with the manifest.
  const files = mkdtempSync(join(tmpdir(), 'klaim-damaged-'))
  execFileSync('tar', ['-xzf', path, '-C', files])
  appendFileSync(join(files, 'CLAIMS.snapshot'), 'x')
  const changed = join(mkdtempSync(join(tmpdir(), 'klaim-damaged-')), 'backup.tar.gz')
  execFileSync('tar', ['-czf', changed, '-C', files, '.'])
  t.equal(await codeThrown(survey(restoring(changed))), 'BACKUP_DAMAGED', 'a file is not what the manifest says')
  appendFileSync(path, 'x')
  t.equal(await codeThrown(survey(restoring(path))), 'BACKUP_DAMAGED', 'its sum is wrong')
})

t.test('it is made while everything runs, and once at a time', async (t) => {
  const { options, claim, bus } = await world(t)
  const provisioning = await bus.bucket(provisioningBucket)
  const running = new AbortController()
  const traffic = (async () => {
    for (let n = 100; !running.signal.aborted; n++) {
      await Promise.all([claim(n), provisioning.put('two', String(n))])
      await delay(5)
    }
  })()
  const results = await Promise.allSettled([backUp(options), backUp(options)])
  running.abort()
  await traffic
  t.same(results.map((result) => result.status === 'rejected' ? codeOf(result.reason) : 'made').toSorted(), ['BACKUP_RUNNING', 'made'])
})

t.test('a restore that dies on its way may be begun again, and what it has left does not stay', async (t) => {
  const { options, restoring, bus } = await world(t)
  const path = join(options.directory, (await backUp(options)).name)
  const seen = await survey(restoring(path))
  t.equal(await codeThrown(restore({ ...restoring(path), replicas: 3 }, seen.overwriting)), 'SNAPSHOT_BROKEN', 'a single server has no replicas')
  t.equal(await bus.raw.jsm.streams.info('KV_topology').then(() => 'there', () => 'gone'), 'gone', 'no service starts on half of it')
  await restore(restoring(path), (await survey(restoring(path))).overwriting)
  t.equal((await bus.raw.jsm.streams.info('CLAIMS')).state.messages, 7)
  t.equal((await bus.raw.jsm.streams.info('KV_topology')).state.messages, 1)
  const left = join(options.directory, '.restore-killed')
  mkdirSync(left)
  utimesSync(left, 0, 0)
  await backUp({ ...options, bookFile: `${options.bookFile}.none` }).catch(() => {})
  t.notOk(readdirSync(options.directory).includes('.restore-killed'))
})

t.test('in a loop it serves its metrics, and ends when it is told to', async (t) => {
  const { nats, options } = await world(t)
  const port = await freePort()
  const child = spawn(resolve(import.meta.dirname, '../../backup'), ['--every', '6h'], {
    env: { ...process.env, ...nats.env('operator'), LEDGER_KEYS: 'l'.repeat(32), BOOK_FILE: options.bookFile, BACKUP_DIRECTORY: options.directory, HEALTH_PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data') as [string]
  t.match(line, /^✓ .* 7 claims, \d+ bytes; restored and compared/)
  t.match(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), /klaim_backups\{verified="true"\} 1/)
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  t.same(await ended, [0, null])
})
