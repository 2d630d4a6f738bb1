// What is left of a former member in the whole running system, as somebody sees it who takes the disk.
import t from 'tap'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesHolding } from '../../deploy/staging/nats/files.ts'
import { memberIdOf } from '../common/member-id.ts'
import { actor, startJourneySystem, until } from './journey.ts'

t.test('a former member writes HAPUS DATA', async (t) => {
  const system = await startJourneySystem()
  t.teardown(() => system.close())
  const [number, otherNumber] = ['6281200000003', '6281200000004']
  const [person, other] = [actor(system, number), actor(system, otherNumber)]
  const memberId = memberIdOf(system.memberIdKey, `${number}@s.whatsapp.net`)
  const [claimId, otherClaim] = [await person.claimed('active'), await other.claimed('active')]
  await person.hears(/^\S{32}$/)
  await person.write('HAPUS DATA')
  await person.hears(/Kamu masih punya server/)
  await person.leave()
  await person.becomes(claimId, 'deleted')
  await person.hears(/^Server dan akun panel kamu sudah dihapus/)
  const store = (text: string): string[] => filesHolding(system.nats.storeDir, text).map((path) => path.slice(system.nats.storeDir.length))
  const book = (): string => globSync('**/claims.json', { cwd: dirname(system.logDirectory) }).map((path) => readFileSync(join(dirname(system.logDirectory), path), 'utf8')).join()
  t.ok(store(number).length > 0 && book().includes(number), 'stood in many places')

  await person.write('hapus data')
  await person.hears(/^Selesai: /)
  /** The word of the erasure, and by whom it was asked, stay for 30 days; the server writes subjects into its index now and then. */
  const ids = (): string[] => [...store(claimId), ...store(memberId).filter((path) => !path.includes('/OPERATIONS/'))].filter((path) => !path.endsWith('index.db') && !path.includes('/CLAIMS/'))
  await until('everything is gone', async () => (store(number).length === 0 && ids().length === 0 && !book().includes(number)) || undefined, { waitMs: 30_000 }).catch(() => {})
  t.same(store(number), [], 'their number is in no file of NATS')
  t.same(store(Buffer.from(number).toString('base64url')), [], 'nor in a name made of it')
  t.same(store(`user${number.slice(-4)}`), [], 'nor their user name')
  t.same(ids(), [], 'nor their pseudonym or claim')
  t.notOk(book().includes(number) || book().includes(claimId), 'nor any of it in the book')
  t.same(filesHolding(system.logDirectory, number), [], 'and never was the number in a log')
  t.equal(await person.progress(claimId).then(() => 'known', () => 'unknown'), 'unknown', 'their page knows no such claim')
  t.match(await other.progress(otherClaim), { status: 'active' }, 'others keep what they have')
  t.ok(store(otherNumber).length > 0)
})
