// From claims.json to claims.sqlite and back while claims come in, and whoever dies on the way.
import t, { type Test } from 'tap'
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { BOOK_KINDS, kindAt, placesOf, readBook, wish, type BookKind } from '../book-file.ts'
import { JSON_CLAIMS_WARNED } from '../book.ts'
import { entry, ids, place, until, type Place } from './books.ts'

const KEEPER = join(import.meta.dirname, 'book-keeper.ts')
const SCRIPT = resolve(import.meta.dirname, '../../../scripts/migrate-book')
const otherThan = (kind: BookKind): BookKind => kind === 'json' ? 'sqlite' : 'json'
const migrate = async (at: Place, to: string) => await promisify(execFile)(SCRIPT, ['--to', to], { env: { ...process.env, BOOK_FILE: at.path }, timeout: 90_000 })

/** What stands beside the book, but for its lock and SQLite's own files. */
const besides = (at: Place, kind: BookKind): string[] => readdirSync(at.directory).filter((name) => !name.startsWith(`claims.${kind}`) && name !== 'claims.json.lock')

for (const from of BOOK_KINDS) {
  const to = otherThan(from)
  t.test(`from claims.${from} to claims.${to} while claims come in`, async (t) => {
    const at = place(t, from)
    const book = await at.open({ everyMs: 10 })
    const noted: string[] = []
    const note = (n: number): void => {
      const one = entry(n)
      noted.push(one.claim_id)
      book.note(one)
      at.sequence = noted.length
    }
    for (let n = 0; n < 5_000; n++) note(n)
    await book.flush()
    const coming = setInterval(() => { note(noted.length) }, 1)
    t.teardown(() => { clearInterval(coming) })
    const { stdout } = await migrate(at, to)
    t.match(stdout, new RegExp(`claims\\.${to} is the book: \\d+ claims`))
    clearInterval(coming)
    await book.flush()
    t.ok(noted.length > 5_000, `${noted.length - 5_000} came meanwhile`)
    t.same(ids(await at.read()), noted.toSorted())
    t.equal(await kindAt(at.path), to)
    t.same(besides(at, to), [], 'and nothing of the old one is left')
    t.match((await migrate(at, to)).stdout, /nothing to do/, 'once more changes nothing')
    await book.close()
    t.same(ids((await at.open()).loaded ?? { claims: [] }), noted.toSorted(), 'the next start reads it')
  })

  // As each step leaves it: written down here, so that none depends on the luck of a kill.
  t.test(`from claims.${from} to claims.${to}, begun by a keeper who died`, async (t) => {
    const left: Record<string, (at: Place) => Promise<void>> = {
      'after the wish': async () => {},
      'while the new one was written': async (at) => { writeFileSync(join(at.directory, `.claims.${to}.new`), 'half a book') },
      'when both stood': async (at) => { await stand(at, to) },
      'before the wish was taken back': async (at) => {
        await stand(at, to)
        rmSync(placesOf(at.path)[from])
      },
    }
    for (const [when, leave] of Object.entries(left)) {
      const at = place(t, from)
      await stand(at, from)
      const before = ids(await at.read())
      await leave(at)
      await wish(at.path, to)
      const book = await at.open()
      for (const one of (await at.read()).claims) book.note(one)
      await until('it has moved', async () => !existsSync(placesOf(at.path).wish))
      t.equal(await kindAt(at.path), to, when)
      t.same(ids(await at.read()), before)
      t.same(besides(at, to), [])
      await book.close()
    }
  })
}

/** The same claims in every book that is made here. */
const CLAIMS = Array.from({ length: 30 }, (_, n) => entry(n))

async function stand (at: Place, kind: BookKind): Promise<void> {
  // Made elsewhere and put there: claim-store itself would remove the other one.
  const { readFileSync } = await import('node:fs')
  const elsewhere = place(t, kind)
  const book = await elsewhere.open()
  for (const one of CLAIMS) book.note(one)
  await book.close()
  writeFileSync(placesOf(at.path)[kind], readFileSync(elsewhere.file), { mode: 0o600 })
}

t.test('a keeper killed at any moment of moves there and back', { timeout: 300_000 }, async (t) => {
  const at = place(t, 'json')
  let kind: BookKind = 'json'
  let before: string[] = []
  const seen: string[] = []
  for (let life = 0; life < 24; life++) {
    const to = otherThan(kind)
    const keeper = fork(KEEPER, [at.path, '4000'], { execArgv: [] })
    await once(keeper, 'message')
    if (life === 0) before = ids(await at.read())
    await wish(at.path, to)
    // The keeper moves in some 100 ms. However slow the machine is, a third of them are killed after the new one stands.
    await until('the new one is being written', () => (life % 3 !== 2 && existsSync(join(at.directory, `.claims.${to}.new`))) || existsSync(placesOf(at.path)[to]))
    await delay((life * 7) % 60)
    keeper.kill('SIGKILL')
    await once(keeper, 'exit')
    // Its time would be over after 10 s.
    rmSync(`${at.path}.lock`, { recursive: true, force: true })
    const reading = await readBook(at.path)
    if (reading.state !== 'whole') t.fail(`life ${life}: ${reading.state}`)
    else {
      if (JSON.stringify(ids(reading.book)) !== JSON.stringify(before)) t.fail(`life ${life}: ${reading.book.claims.length} claims`)
      seen.push(`${reading.kind === to ? 'moved' : 'not yet'}${existsSync(placesOf(at.path).wish) ? ', wished' : ''}`)
      kind = reading.kind
    }
  }
  t.comment(JSON.stringify(Object.fromEntries(Map.groupBy(seen, (one) => one).entries().map(([what, all]) => [what, all.length]))))
  t.equal(seen.length, 24, 'and there was a whole book with all claims each time')
  t.ok(new Set(seen).size > 1, 'of which some had moved and some had not')
})

t.test('without a keeper the wish stays, and the next one fulfils it', async (t) => {
  const at = place(t, 'json')
  const first = await at.open()
  first.note(entry(1))
  await first.close()
  await wish(at.path, 'sqlite')
  t.equal((await readBook(at.path) as { kind: string }).kind, 'json')
  await at.open()
  await until('it has moved', async () => existsSync(placesOf(at.path).sqlite) && !existsSync(placesOf(at.path).wish))
  t.equal((await at.read()).claims.length, 1)
})

t.test('scripts/migrate-book refuses what it does not know', async (t) => {
  const at = place(t, 'json')
  await t.rejects(migrate(at, 'postgres'), { code: 64 })
})

t.test('that claims.json grows large is said in time, and once', async (t: Test) => {
  const at = place(t, 'json')
  const book = await at.open()
  for (let n = 1; n < JSON_CLAIMS_WARNED; n++) book.note(entry(n))
  await book.flush()
  t.notOk(at.said('BOOK_LARGE'))
  for (let n = 0; n < 3; n++) {
    book.note(entry(9_000 + n))
    await book.flush()
  }
  t.equal(at.lines.filter((line) => line.includes('BOOK_LARGE')).length, 1)
  t.equal(at.written.at(-1)?.claims, JSON_CLAIMS_WARNED + 2)
  t.notOk(at.lines.some((line) => /62812\d{8}/.test(line)), 'and names nobody')
})
