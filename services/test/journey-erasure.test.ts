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
  const claimed = async (who: typeof person): Promise<string> => await until('the claim is accepted', async () => {
    const { status, body } = await who.claim()
    return status === 202 ? body.claim_id : undefined
  })
  const hears = async (words: RegExp): Promise<void> => { await until(`the bot says ${String(words)}`, async () => (await person.chat()).some(({ from, text }) => from === 'bot' && words.test(text)) || undefined) }
  const [claimId, otherClaim] = [await claimed(person), await claimed(other)]
  for (const [who, id] of [[person, claimId], [other, otherClaim]] as const) await until('the server is there', async () => (await who.progress(id)).status === 'active' || undefined)
  await hears(/^\S{32}$/)
  await person.write('HAPUS DATA')
  await hears(/Kamu masih punya server/)
  await person.leave()
  await until('the server is deleted', async () => (await person.progress(claimId)).status === 'deleted' || undefined)
  await hears(/^Server dan akun panel kamu sudah dihapus/)
  const store = (text: string): string[] => filesHolding(system.nats.storeDir, text).map((path) => path.slice(system.nats.storeDir.length))
  const book = (): string => globSync('**/claims.json', { cwd: dirname(system.logDirectory) }).map((path) => readFileSync(join(dirname(system.logDirectory), path), 'utf8')).join()
  t.ok(store(number).length > 0 && book().includes(number), 'stood in many places')

  await person.write('hapus data')
  await hears(/^Selesai: /)
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
