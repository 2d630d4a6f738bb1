// What a disk and a person can do to the book of a running claim-store. It answers all the while, no claim is lost, and the book is right in the end.
import t, { type Test } from 'tap'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { getuid } from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { createClaim, getClaim } from '../../../contracts/requests.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { createBus } from '../../common/bus.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import { scratch } from '../../common/test/scratch.ts'
import { BOOK_KINDS, placesOf, readBook, type BookKind } from '../book-file.ts'
import { ids, place, until } from './books.ts'

const MAIN = resolve(import.meta.dirname, '../main.ts')
/** Root may write where nobody may; without this right it is a user like any other. */
const AS_ANYBODY = ['setpriv', '--bounding-set=-dac_override,-dac_read_search']

/** NATS, and a claim-store that is a process of its own, so that its disk can fail without ours. */
async function world (t: Test, kind: BookKind) {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const directory = join(scratch(t), 'book')
  mkdirSync(directory, { mode: 0o700 })
  const path = join(directory, 'claims.json')
  if (kind === 'sqlite') writeFileSync(placesOf(path).wish, 'sqlite\n')
  const gateway = await createBus({ ...nats.playing('gateway'), log: createLog('gateway', 'fatal'), metrics: createMetrics('gateway'), now: () => new Date() })
  t.teardown(() => gateway.close())
  const claimed: string[] = []
  let n = 0
  const claim = async (): Promise<string> => {
    const claim_id = randomUUID()
    const answer = await gateway.request(createClaim, { claim_id, wa_jid: `62812${String(++n).padStart(8, '0')}@s.whatsapp.net`, username: `user${n}`, template: 'nodejs', template_version: 1, language: 'id' })
    if (!answer.ok) throw new Error(`refused: ${answer.rejection}`)
    claimed.push(claim_id)
    return claim_id
  }
  const lines: string[] = []
  async function claimStore (): Promise<ChildProcess> {
    const port = await freePort()
    const command = [...getuid?.() === 0 ? AS_ANYBODY : [], process.execPath, MAIN]
    const child = spawn(command[0] ?? '', command.slice(1), {
      // Without tap's own hooks, which write files, too.
      env: { ...process.env, NODE_OPTIONS: '', ...nats.env('claim-store'), MEMBER_ID_KEY: 'k'.repeat(32), LEDGER_KEYS: 'l'.repeat(32), BOOK_FILE: path, BOOK_EVERY_MS: '20', GRACE_MS: '3600000', HEALTH_PORT: String(port), LOG_LEVEL: 'info' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(async () => { await stop(child) })
    child.stdout.setEncoding('utf8').on('data', (text: string) => { lines.push(...text.split('\n')) })
    await until('claim-store is ready, or has ended', async () => child.exitCode !== null || await fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => ok, () => false))
    return child
  }
  async function stop (child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
    if (signal === 'SIGKILL') rmdirSync(`${path}.lock`)
  }
  const said = (what: string): boolean => lines.some((line) => line.includes(what))
  const inBook = async (): Promise<string[]> => {
    const reading = await readBook(path)
    return reading.state === 'whole' ? ids(reading.book) : [reading.state]
  }
  const isComplete = async (): Promise<boolean> => JSON.stringify(await inBook()) === JSON.stringify(claimed.toSorted())
  const statusOf = async (claim_id: string): Promise<string> => {
    const answer = await gateway.request(getClaim, { claim_id })
    return answer.ok ? answer.claim.status : answer.rejection
  }
  return { directory, path, file: placesOf(path)[kind], claim, claimed, claimStore, stop, lines, said, inBook, isComplete, statusOf }
}

for (const kind of BOOK_KINDS) {
  t.test(`claims.${kind}`, async (t) => {
    t.test('on a disk that is full', async (t) => {
      const { claim, claimed, claimStore, lines, said, inBook, isComplete } = await world(t, kind)
      const running = await claimStore()
      await claim()
      await until('it is in the book', isComplete)
      const before = claimed.toSorted()
      // No file of this process may grow any more: its disk is full, and ours is not.
      execFileSync('prlimit', ['--pid', String(running.pid), '--fsize=64:unlimited'])
      for (let n = 0; n < 10; n++) await claim()
      await until('it is said', async () => said('BOOK_UNWRITTEN'))
      const began = performance.now()
      await claim()
      t.comment(`a claim on the full disk took ${(performance.now() - began).toFixed(1)} ms; reason ${/"reason":"(\w+)"/.exec(lines.find((line) => line.includes('BOOK_UNWRITTEN')) ?? '')?.[1]}`)
      t.same(await inBook(), before, 'the book is the last whole one')
      t.equal(lines.filter((line) => line.includes('BOOK_UNWRITTEN')).length, 1, 'it is said once')
      execFileSync('prlimit', ['--pid', String(running.pid), '--fsize=unlimited:unlimited'])
      const well = performance.now()
      await until('it catches up by itself', isComplete)
      t.comment(`caught up ${((performance.now() - well) / 1_000).toFixed(1)} s after there was space`)
      await until('that is said, too', async () => said('the book is written again'))
      t.notOk(lines.some((line) => /62812\d{8}/.test(line)), 'and no number')
    })

    t.test('killed on a full disk, and started on it', async (t) => {
      const { claim, claimStore, stop, inBook, isComplete, said } = await world(t, kind)
      const first = await claimStore()
      await claim()
      await until('it is in the book', isComplete)
      execFileSync('prlimit', ['--pid', String(first.pid), '--fsize=64:unlimited'])
      const missing = [await claim(), await claim()]
      await until('it is said', async () => said('BOOK_UNWRITTEN'))
      await stop(first, 'SIGKILL')
      const before = await inBook()
      t.notOk(before.some((id) => missing.includes(id)), 'the book is behind the stream')
      await claimStore()
      await until('what it missed is replayed', isComplete)
    })

    t.test('in a directory that cannot be written', async (t) => {
      const { directory, claim, claimStore, stop, said, inBook, isComplete } = await world(t, kind)
      const first = await claimStore()
      await claim()
      await until('it is in the book', isComplete)
      await stop(first)
      const before = await inBook()
      chmodSync(directory, 0o500)
      t.teardown(() => { chmodSync(directory, 0o700) })
      await claimStore()
      t.ok(said('the book cannot be locked'), 'it starts all the same, and says so')
      await claim()
      t.same(await inBook(), before)
      chmodSync(directory, 0o700)
      await until('it catches up by itself', isComplete)
    })

    t.test('torn', async (t) => {
      const { file, claim, claimStore, stop, said, isComplete } = await world(t, kind)
      const first = await claimStore()
      for (let n = 0; n < 20; n++) await claim()
      await until('they are in the book', isComplete)
      await stop(first)
      const bytes = readFileSync(file)
      writeFileSync(file, bytes.subarray(0, bytes.length / 2))
      await claimStore()
      t.ok(said('STORE_CORRUPT'))
      await until('it is rebuilt from the ledger', isComplete)
      t.ok(existsSync(file), 'as what it was')
    })

    t.test('edited by hand', async (t) => {
      const { file, path, claim, claimed, claimStore, stop, said, isComplete, statusOf } = await world(t, kind)
      const first = await claimStore()
      for (let n = 0; n < 3; n++) await claim()
      await until('they are in the book', isComplete)
      await stop(first)
      if (kind === 'json') {
        writeFileSync(file, readFileSync(file, 'utf8').replaceAll('"creating"', '"deleted"'))
      } else {
        const database = new DatabaseSync(file)
        database.exec("UPDATE claims SET entry = replace(entry, '\"creating\"', '\"deleted\"')")
        database.close()
      }
      await claimStore()
      t.ok(said('BOOK_CHANGED'))
      t.same(await Promise.all(claimed.map(statusOf)), ['creating', 'creating', 'creating'], 'answers come from the ledger')
      await until('the book is put right', async () => {
        const reading = await readBook(path)
        return reading.state === 'whole' && reading.book.claims.length === 3 && reading.book.claims.every(({ status }) => status === 'creating')
      })
    })

    t.test('older than the ledger', async (t) => {
      const { file, claim, claimStore, stop, isComplete, statusOf } = await world(t, kind)
      const first = await claimStore()
      await claim()
      await until('it is in the book', isComplete)
      await stop(first)
      const old = readFileSync(file)
      const second = await claimStore()
      const later = await claim()
      await until('it is in the book', isComplete)
      await stop(second)
      writeFileSync(file, old)
      await claimStore()
      t.equal(await statusOf(later), 'creating', 'the rest is replayed')
      await until('and written', isComplete)
    })

    t.test('newer than the ledger', async (t) => {
      const { directory, claimStore, said } = await world(t, kind)
      const at = place(t, kind, directory)
      at.sequence = 999_999
      at.now = new Date()
      const book = await at.open()
      await book.flush()
      await book.close()
      const { sequence } = await at.read()
      const running = await claimStore()
      t.ok(said('LEDGER_BEHIND_BOOK'))
      t.not(running.exitCode, 0, 'stops the start')
      t.equal((await at.read()).sequence, sequence, 'and the book stays')
    })
  })
}
