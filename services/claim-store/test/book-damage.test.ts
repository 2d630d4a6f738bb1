// Files that are not as they were written: torn, turned, edited. None of them is ever taken for a book.
import t from 'tap'
import { DatabaseSync } from 'node:sqlite'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BOOK_KINDS, readBook, type BookKind } from '../book-file.ts'
import { entry, place, type Place } from './books.ts'

const ENTRIES = 40
/** Prime, so that cuts and turns fall everywhere between pages and entries. */
const STEP_BYTES = 101

/** A closed book, and its bytes. */
async function written (t: Parameters<typeof place>[0], kind: BookKind): Promise<{ at: Place, bytes: Buffer }> {
  const at = place(t, kind)
  at.sequence = 77
  const book = await at.open()
  for (let n = 0; n < ENTRIES; n++) book.note(entry(n))
  await book.close()
  return { at, bytes: readFileSync(at.file) }
}

for (const kind of BOOK_KINDS) {
  t.test(`claims.${kind}, cut off at every ${STEP_BYTES} bytes`, async (t) => {
    const { at, bytes } = await written(t, kind)
    const states: string[] = []
    for (let end = 0; end < bytes.length - 1; end += STEP_BYTES) {
      writeFileSync(at.file, bytes.subarray(0, end))
      const { state } = await readBook(at.path)
      // SQLite takes what is missing of the last page for zeros: then there are claims missing, which the seal tells.
      if (state === 'whole' || (kind === 'json' && state !== 'damaged')) states.push(`${state} at ${end}`)
    }
    t.same(states, [])
    t.ok(bytes.length > 50 * STEP_BYTES, `${Math.ceil(bytes.length / STEP_BYTES)} cuts`)
    writeFileSync(at.file, bytes.subarray(0, bytes.length / 2))
    const book = await at.open()
    t.equal(book.loaded, null)
    t.ok(at.said('STORE_CORRUPT'), 'is set aside at the start')
    const one = entry(1)
    book.note(one)
    await book.flush()
    t.same((await at.read()).claims, [one], 'and written anew')
  })

  t.test(`claims.${kind}, a bit turned at every ${STEP_BYTES} bytes`, async (t) => {
    const { at, bytes } = await written(t, kind)
    const was = JSON.stringify(await readBook(at.path))
    const believed: number[] = []
    for (let where = 0; where < bytes.length; where += STEP_BYTES) {
      const turned = Buffer.from(bytes)
      turned[where] = (turned[where] ?? 0) ^ 1
      writeFileSync(at.file, turned)
      const reading = await readBook(at.path)
      if (reading.state === 'whole' && JSON.stringify(reading) !== was) believed.push(where)
    }
    t.same(believed, [], 'no other content is ever believed')
  })

  t.test(`claims.${kind}, edited by hand`, async (t) => {
    const edits: Record<string, { sql: string, json: (text: string) => string, state: 'damaged' | 'changed' }> = {
      'another status': { sql: "UPDATE claims SET entry = replace(entry, '\"active\"', '\"deleted\"')", json: (text) => text.replace('"active"', '"deleted"'), state: 'changed' },
      'a claim less': { sql: 'DELETE FROM claims WHERE claim_id = (SELECT min(claim_id) FROM claims)', json: (text) => text.replace(/\n\{[^\n]*,\n/, '\n'), state: 'changed' },
      'a later sequence': { sql: 'UPDATE head SET sequence = 78', json: (text) => text.replace('"sequence":77', '"sequence":78'), state: 'changed' },
      'a status that there is not': { sql: "UPDATE claims SET entry = replace(entry, '\"active\"', '\"free\"')", json: (text) => text.replace('"active"', '"free"'), state: 'damaged' },
      'a field less': { sql: "UPDATE claims SET entry = json_remove(entry, '$.wa_jid')", json: (text) => text.replace(/"wa_jid":"[^"]*",/, ''), state: 'damaged' },
      'no sequence': { sql: 'DELETE FROM head', json: (text) => text.replace('"sequence":77,', ''), state: 'damaged' },
    }
    for (const [what, { sql, json, state }] of Object.entries(edits)) {
      const { at, bytes } = await written(t, kind)
      if (kind === 'json') {
        writeFileSync(at.file, json(bytes.toString()))
      } else {
        const database = new DatabaseSync(at.file)
        database.exec(sql)
        database.close()
      }
      t.equal((await readBook(at.path)).state, state, what)
      const book = await at.open()
      t.equal(book.loaded, null, 'and nothing of it is taken over')
      t.ok(at.said(state === 'damaged' ? 'STORE_CORRUPT' : 'BOOK_CHANGED'))
      if (state === 'changed') t.equal(book.reflected, what === 'a later sequence' ? 78 : 77, 'but how far it was')
    }
  })

  t.test(`claims.${kind} that is no file of ours`, async (t) => {
    const at = place(t, kind)
    for (const content of ['', 'hello', '[]', '{"version":2,"sequence":1,"claims":[]}', 'SQLite format 3\0']) {
      writeFileSync(at.file, content)
      t.equal((await readBook(at.path)).state, 'damaged', JSON.stringify(content))
    }
  })
}

t.test('another SQLite database in its place is damage, too', async (t) => {
  const at = place(t, 'sqlite')
  const database = new DatabaseSync(at.file)
  database.exec('CREATE TABLE other (a)')
  database.close()
  t.equal((await readBook(at.path)).state, 'damaged')
})

t.test('a book of an older version has no seal, and is believed', async (t) => {
  const at = place(t, 'json')
  const one = entry(1)
  writeFileSync(join(at.directory, 'claims.json'), JSON.stringify({ version: 1, sequence: 5, written_at: at.now.toISOString(), claims: [one] }))
  t.match(await at.open(), { loaded: { claims: [one] }, reflected: 5 })
})
