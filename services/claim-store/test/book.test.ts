// What a book promises, of both kinds.
import t from 'tap'
import { DatabaseSync } from 'node:sqlite'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { BOOK_KINDS, readBook, setAside } from '../book-file.ts'
import { DAY_MS, entry, ids, place, until } from './books.ts'

for (const kind of BOOK_KINDS) {
  t.test(`claims.${kind}`, async (t) => {
    t.test('holds what was noted, and the sequence with it', async (t) => {
      const at = place(t, kind)
      const book = await at.open()
      t.equal(book.loaded, null)
      const [one, two] = [entry(1), entry(2)]
      book.note(one)
      at.sequence = 7
      await book.flush()
      t.match(await at.read(), { version: 1, sequence: 7, written_at: at.now.toISOString(), claims: [one] })
      book.note(two)
      book.note({ ...one, status: 'deleted' })
      at.sequence = 9
      await book.flush()
      const read = await at.read()
      t.equal(read.sequence, 9)
      t.same(new Map(read.claims.map((each) => [each.claim_id, each.status])), new Map([[one.claim_id, 'deleted'], [two.claim_id, 'active']]))
      t.same(Object.keys(read.claims[0] ?? {}), Object.keys(one), 'an entry has its fields and their order')
      t.equal(statSync(at.file).mode & 0o777, 0o600, 'for its owner alone')
      t.same(readdirSync(at.directory).filter((name) => /sqlite/.test(name) && (statSync(`${at.directory}/${name}`).mode & 0o077) !== 0), [], 'and so is what stands beside it')
      await book.close()
      t.same(ids((await at.open()).loaded ?? { claims: [] }), ids(read), 'and is there at the next start')
    })

    t.test('is written once for all that was noted in one batch, and not at all before the ledger knows its sequence', async (t) => {
      const at = place(t, kind)
      at.sequence = undefined
      const book = await at.open()
      for (let n = 0; n < 50; n++) book.note(entry(n))
      await book.flush()
      t.same(await readBook(at.path), { state: 'absent' })
      at.sequence = 50
      await Promise.all(Array.from({ length: 20 }, async () => { await book.flush() }))
      t.equal(at.written.length, 1)
      t.match(at.written[0], { kind, claims: 50 })
      t.equal((await at.read()).claims.length, 50)
    })

    t.test('is whole, whatever is noted while it is written', async (t) => {
      const at = place(t, kind)
      const book = await at.open()
      // The first time there is none yet, and all of it goes; then what changed.
      for (const when of ['first', 'next']) {
        book.note(entry(1))
        const written = book.flush()
        const coming = setInterval(() => { book.note(entry(2)) })
        await written.finally(() => { clearInterval(coming) })
        t.equal((await readBook(at.path)).state, 'whole', when)
      }
    })

    t.test('forgets to the last byte', async (t) => {
      const at = place(t, kind)
      const book = await at.open()
      const [gone, stays] = [entry(4711), entry(4712)]
      book.note(gone)
      book.note(stays)
      await book.flush()
      book.forget(gone.claim_id)
      await book.flush()
      t.same(ids(await at.read()), [stays.claim_id])
      const bytes = readdirSync(at.directory, { withFileTypes: true }).filter((file) => file.isFile()).map((file) => readFileSync(`${at.directory}/${file.name}`, 'latin1')).join()
      t.ok(bytes.includes(stays.wa_jid))
      t.notOk(bytes.includes(gone.wa_jid), 'also while it is open')
      t.notOk(bytes.includes(gone.claim_id))
    })

    t.test('is closed with everything in it', async (t) => {
      const at = place(t, kind)
      const book = await at.open()
      const one = entry(1)
      book.note(one)
      await book.close()
      t.same(readdirSync(at.directory).filter((name) => name.includes('.lock') || name.includes('-wal')), [], 'and leaves no lock and no log')
      t.same((await at.read()).claims, [one])
    })

    t.test('that is old is not believed, and still says how far it was', async (t) => {
      const at = place(t, kind)
      at.sequence = 30
      const book = await at.open()
      book.note(entry(1))
      await book.close()
      at.now = new Date(at.now.getTime() + 31 * DAY_MS)
      at.sequence = undefined
      const later = await at.open()
      t.equal(later.loaded, null)
      t.equal(later.reflected, 30)
      const known = entry(2)
      later.note(known)
      at.sequence = 31
      await later.flush()
      t.same((await at.read()).claims, [known], 'and written anew')
    })

    t.test('has one keeper, and who comes next writes all that it knows', async (t) => {
      const at = place(t, kind)
      const [one, two] = [entry(1), entry(2)]
      const [first, second] = [await at.open(), await at.open()]
      first.note(one)
      await first.flush()
      for (const book of [first, second]) book.note(two)
      await second.flush()
      t.same(ids(await at.read()), [one.claim_id], 'who is not the keeper writes nothing')
      second.note(one)
      await first.close()
      await until('the other is the keeper', async () => {
        await second.flush()
        return at.written.length >= 3
      })
      t.same(ids(await at.read()), ids({ claims: [one, two] }))
    })

    t.test('of a keeper who died is taken over within 12 s, that of a living one never', async (t) => {
      const at = place(t, kind)
      // As a keeper leaves it who has just died: nobody touches it any more.
      mkdirSync(`${at.path}.lock`)
      const began = performance.now()
      const book = await at.open()
      book.note(entry(1))
      const alive = setInterval(() => { utimesSync(`${at.path}.lock`, new Date(), new Date()) }, 1_000)
      t.teardown(() => { clearInterval(alive) })
      await new Promise((resolve) => setTimeout(resolve, 13_000))
      await book.flush()
      t.same(await readBook(at.path), { state: 'absent' }, 'a sign of life every second, and it is respected')
      clearInterval(alive)
      const died = performance.now()
      await until('it is taken over', async () => {
        await book.flush()
        return at.written.length > 0
      }, 20_000)
      t.comment(`taken over after ${((performance.now() - died) / 1_000).toFixed(1)} s`)
      t.ok(performance.now() - died < 15_000, 'within the time, and some seconds for the machine')
      t.ok(performance.now() - began > 13_000)
    })

    t.test('that was set aside goes after 30 days, and what comes in its stead is of the same kind', async (t) => {
      const at = place(t, kind)
      const book = await at.open()
      book.note(entry(1))
      await book.close()
      const aside = await setAside(at.path, at.now)
      t.match(basename(aside ?? ''), `claims.${kind}.damaged-${at.now.getTime()}`)
      const next = await at.open()
      next.note(entry(2))
      await next.flush()
      t.equal(at.written.at(-1)?.kind, kind)
      await next.tidy()
      t.ok(existsSync(aside ?? ''))
      at.now = new Date(at.now.getTime() + 30 * DAY_MS)
      await next.tidy()
      t.notOk(existsSync(aside ?? ''))
    })
  })
}

t.test('claims.sqlite', async (t) => {
  t.test('is in WAL, and says of what kind and version it is', async (t) => {
    const at = place(t, 'sqlite')
    const book = await at.open()
    book.note(entry(1))
    await book.flush()
    const database = new DatabaseSync(at.file, { readOnly: true })
    t.teardown(() => { database.close() })
    for (const [name, value] of [['journal_mode', 'wal'], ['application_id', 0x4b6c6169], ['user_version', 1], ['quick_check', 'ok']] as const) t.same(database.prepare(`PRAGMA ${name}`).get()?.[name], value, name)
    t.match(database.prepare("SELECT entry ->> 'status' AS status, count(*) AS n FROM claims GROUP BY 1").get(), { status: 'active', n: 1 }, 'and can be asked')
  })

  t.test('in whose place another was put meanwhile makes that one go, and is made anew', async (t) => {
    const at = place(t, 'sqlite')
    const book = await at.open()
    const [one, two] = [entry(1), entry(2)]
    // Twice: the first makes the file, the second keeps it open.
    for (const status of ['creating', 'active'] as const) {
      book.note({ ...one, status })
      await book.flush()
    }
    const other = place(t, 'sqlite')
    const theirs = await other.open()
    theirs.note(entry(3))
    await theirs.close()
    writeFileSync(`${at.directory}/theirs`, readFileSync(other.file))
    renameSync(`${at.directory}/theirs`, at.file)
    book.note(two)
    await t.rejects(book.flush(), { code: 'BOOK_REPLACED' })
    t.ok(readdirSync(at.directory).some((name) => /^claims\.sqlite\.damaged-\d+$/.test(name)), 'somebody may want it')
    await book.flush()
    t.same(ids(await at.read()), ids({ claims: [one, two] }))
    t.equal(at.written.at(-1)?.kind, 'sqlite')
  })

  t.test('that was removed under it is made anew', async (t) => {
    const at = place(t, 'sqlite')
    const book = await at.open()
    const both = [entry(1), entry(2), entry(3)]
    for (const one of both) {
      book.note(one)
      await book.flush()
      rmSync(at.file)
    }
    book.note({ ...entry(1), claim_id: both[0]?.claim_id ?? '' })
    await book.flush()
    t.same(ids(await at.read()), ids({ claims: both }))
  })
})
