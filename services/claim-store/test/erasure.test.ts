// What is left of a former member, down to the bytes of the store.
import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import { claimErased } from '../../../contracts/events/claims.ts'
import { serverFailed, serverReady } from '../../../contracts/events/servers.ts'
import type { Acted } from '../../../contracts/events/operations.ts'
import { createClaim, deleteStrayServer, eraseMember, getClaim, listClaims } from '../../../contracts/requests.ts'
import { createBus, type Bus } from '../../common/bus.ts'
import type { ServiceName } from '../../../contracts/define.ts'
import { createLog } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics } from '../../common/metrics.ts'
import { onWord } from '../../common/operations.ts'
import { scratch } from '../../common/test/scratch.ts'
import { createMac } from '../mac.ts'
import { start } from '../main.ts'

const MEMBER_ID_KEY = 'k'.repeat(32)
const DAY_MS = 24 * 3_600_000
const word = { by: 'on call', why: 'asked to' }
const server = { user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node', port: 25565 }, username: 'member', sealed_password: 'a.b.c.d.e' }

async function until<Seen> (what: string, look: () => Promise<Seen | undefined | false>): Promise<Seen> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`never happened: ${what}`)
}

/** A NATS of its own, so that its files hold nothing of other tests. */
async function world (t: Test) {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const directory = scratch(t)
  const bookFile = join(directory, 'claims.json')
  const lines: string[] = []
  const log = (service: string) => createLog(service, 'trace', (line) => lines.push(line))
  const bus = async (service: ServiceName): Promise<Bus> => {
    const made = await createBus({ ...nats.playing(service), log: log(service), metrics: createMetrics(service), now: () => new Date() })
    t.teardown(() => made.close())
    return made
  }
  const claimStore = async ({ daysLater = 0, book = bookFile } = {}) => {
    const running = await start({
      ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS: 'l'.repeat(32), BOOK_FILE: book, BOOK_EVERY_MS: 20, GRACE_MS: 1_000, RETENTION_DAYS: 90, LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000,
    }, { log: log('claim-store'), metrics: createMetrics('claim-store'), now: () => new Date(Date.now() + daysLater * DAY_MS) })
    let stopped: Promise<void> | undefined
    const stop = async () => { await (stopped ??= running.stop()) }
    t.teardown(stop)
    return stop
  }
  const [gateway, provisioner] = [await bus('gateway'), await bus('provisioner')]
  let number = 6281200000100
  const somebody = () => {
    const wa_jid = `${++number}@s.whatsapp.net`
    return { number: String(number), wa_jid, member_id: memberIdOf(MEMBER_ID_KEY, wa_jid) }
  }
  /** Asks for a server. The user name is as much theirs as the number. */
  const claims = async ({ number, wa_jid }: ReturnType<typeof somebody>): Promise<string> => {
    const answer = await gateway.request(createClaim, { claim_id: randomUUID(), wa_jid, username: `name-${number}`, template: 'nodejs', template_version: 1, language: 'id' })
    if (!answer.ok) throw new Error(answer.rejection)
    return answer.claim_id
  }
  const becomes = async (claim_id: string, status: string) => await until(`the claim is ${status}`, async () => {
    const answer = await gateway.request(getClaim, { claim_id })
    return answer.ok && answer.claim.status === status
  })
  /** A claim that is over. */
  const failed = async (member: ReturnType<typeof somebody>): Promise<string> => {
    const claim_id = await claims(member)
    await provisioner.publish(serverFailed, { key: claim_id, causation: `claim.requested.v1:${claim_id}`, data: { claim_id, member_id: member.member_id, code: 'NO_FREE_PORT', step: 'port' } })
    await becomes(claim_id, 'failed')
    return claim_id
  }
  const active = async (member: ReturnType<typeof somebody>): Promise<string> => {
    const claim_id = await claims(member)
    await provisioner.publish(serverReady, { key: claim_id, causation: `claim.requested.v1:${claim_id}`, data: { claim_id, member_id: member.member_id, ...server } })
    await becomes(claim_id, 'active')
    return claim_id
  }
  /** How many events of each kind the ledger holds of a member. */
  const held = async (member_id: string): Promise<Record<string, number>> => {
    const { state } = await gateway.raw.jsm.streams.info('CLAIMS', { subjects_filter: `claims.${member_id}.>` })
    return Object.fromEntries(Object.entries(state.subjects ?? {}).map(([subject, count]) => [subject.split('.')[2] ?? '', count]))
  }
  const onlyTheWord = async (member_id: string) => await until('only the word of the erasure is left', async () => JSON.stringify(await held(member_id)) === '{"erased":1}')
  /** Resolves when one more sweep than before has ended. */
  const swept = () => {
    const count = () => lines.filter((line) => line.includes('the sweep of former members is done')).length
    const before = count()
    return async () => { await until('a sweep', async () => count() > before) }
  }
  const inStore = (stream: string, text: string) => filesHolding(join(nats.storeDir, 'jetstream', 'KLAIM', 'streams', stream), text)
  const inBook = (text: string) => readFileSync(bookFile, 'utf8').includes(text)
  return { nats, directory, bookFile, lines, bus, claimStore, gateway, provisioner, somebody, claims, failed, active, held, onlyTheWord, inStore, inBook, swept }
}

t.test('a former member who is erased', async (t) => {
  const { claimStore, gateway, provisioner, somebody, failed, active, held, onlyTheWord, inStore, inBook, lines } = await world(t)
  const stop = await claimStore()
  const [member, other] = [somebody(), somebody()]
  const first = await failed(member)
  const second = await failed(member)
  await failed(other)
  for (const subject of [`dead.claims.${member.member_id}.failed`, `dead.servers.${first}.ready`, `dead.messages.outbound.failed-${second}`]) await gateway.raw.js.publish(subject, JSON.stringify({ wa_jid: member.wa_jid }))
  await gateway.raw.js.publish(`dead.claims.${other.member_id}.failed`, JSON.stringify({ wa_jid: other.wa_jid }))
  const acted = async (about: { memberId: string }, why: string): Promise<void> => { await onWord(provisioner, { request: deleteStrayServer, by: 'on call', why, about }, async () => ({ ok: true as const })) }
  await acted({ memberId: member.member_id }, 'deed-before')
  await acted({ memberId: other.member_id }, 'deed-other')
  await until('the book has it', async () => inBook(member.number))
  t.ok(inStore('CLAIMS', member.number).length > 0 && inStore('DEAD_LETTERS', member.number).length > 0, 'was there before')

  t.same(await gateway.request(eraseMember, { claim_id: first, ...word }), { ok: true, member_id: member.member_id }, 'by any of their claims')
  await onlyTheWord(member.member_id)
  await until('the dead letters are gone', async () => inStore('DEAD_LETTERS', member.number).length === 0)
  t.same(inStore('CLAIMS', member.number), [], 'has no number in the files of the ledger')
  t.same(inStore('CLAIMS', `name-${member.number}`), [], 'nor a name')
  t.same(inStore('CLAIMS', `claim.failed.v1:${second}`), [], 'nor an event of a claim')
  t.same([first, second].map((id) => inStore('DEAD_LETTERS', id)), [[], []], 'nor anything in a dead letter')
  await until('what was done about them is gone', async () => inStore('OPERATIONS', 'deed-before').length === 0)
  t.not(inStore('OPERATIONS', 'deed-other').length, 0)
  const words = async (): Promise<string[]> => {
    const found: string[] = []
    for await (const { data } of await gateway.raw.jsm.direct.getBatch('OPERATIONS', { seq: 1, batch: 100, next_by_subj: `operations.*.${member.member_id}` })) {
      const { operation, by, why, outcome = 'asked' } = JSON.parse(new TextDecoder().decode(data)) as Acted
      found.push(`${operation} ${by} ${why} ${outcome}`)
    }
    return found
  }
  t.same(await words(), ['erase on call asked to asked', 'erase on call asked to done'], 'but who had them erased and why stays as long as the word of it')
  for (const claim_id of [first, second]) t.same(await gateway.request(getClaim, { claim_id }), { ok: false, rejection: 'NOT_FOUND' }, 'is not known by a claim')
  t.same(await gateway.request(getClaim, { wa_jid: member.wa_jid }), { ok: false, rejection: 'NOT_FOUND' }, 'nor by the number')
  t.equal((await gateway.request(listClaims, {})).claims.length, 1, 'nor in the list')
  await until('the book forgets', async () => !inBook(member.number) && !inBook(first) && !inBook(second))
  t.ok(inBook(other.number) && inStore('CLAIMS', other.number).length > 0 && inStore('DEAD_LETTERS', other.number).length > 0, 'while others stay')
  t.same(await gateway.request(eraseMember, { wa_jid: member.wa_jid, ...word }), { ok: false, rejection: 'NOT_FOUND' }, 'is not there to be erased again')
  t.equal((await words()).length, 2, 'and of whom nothing is known nothing is said')
  await t.rejects(gateway.request(createClaim, { claim_id: first, wa_jid: member.wa_jid, username: 'name', template: 'nodejs', template_version: 1, language: 'id' }), { code: 'LEDGER_CONTENDED' },
    'nor made again by a late copy of their request, whose id the stream still remembers')

  const again = await active(member)
  t.same(await held(member.member_id), { erased: 1, requested: 1, activated: 1 }, 'may claim like anybody else')
  t.same(await gateway.request(eraseMember, { member_id: member.member_id, ...word }), { ok: false, rejection: 'HAS_SERVER' }, 'and then has a server, which comes first')
  await stop()
  await claimStore()
  t.match(await gateway.request(getClaim, { claim_id: again }), { ok: true, claim: { status: 'active' } }, 'which a restart knows')
  t.notOk(lines.some((line) => line.includes(member.number)), 'no number is logged')
  t.ok(lines.some((line) => line.includes('"by":"on call"') && line.includes(member.member_id)), 'but who wanted it is')
})

t.test('of an erasure and a new claim at the same time one is first', async (t) => {
  const { claimStore, gateway, somebody, failed, held, directory } = await world(t)
  await claimStore()
  await claimStore({ book: join(directory, 'second.json') })
  for (let round = 0; round < 10; round++) {
    const member = somebody()
    await failed(member)
    const ask = { wa_jid: member.wa_jid, username: 'name', template: 'nodejs', template_version: 1, language: 'id' as const }
    const [erased, claimed] = await Promise.all([gateway.request(eraseMember, { wa_jid: member.wa_jid, ...word }), gateway.request(createClaim, { claim_id: randomUUID(), ...ask })])
    t.ok(claimed.ok, 'the new claim is taken either way')
    if (erased.ok) await until('what came before the erasure is gone', async () => JSON.stringify(await held(member.member_id)) === '{"erased":1,"requested":1}')
    else t.same([erased.rejection, await held(member.member_id)], ['HAS_SERVER', { requested: 2, failed: 1 }], 'or stands in the way')
  }
})

t.test('another claim-store', async (t) => {
  const { claimStore, gateway, somebody, failed, active, onlyTheWord, directory } = await world(t)
  const member = somebody()
  const stop = await claimStore()
  const claim_id = await failed(member)
  await stop()
  const second = join(directory, 'second.json')
  writeFileSync(second, readFileSync(join(directory, 'claims.json')))
  const first = await claimStore()
  t.ok((await gateway.request(eraseMember, { claim_id, ...word })).ok)
  await onlyTheWord(member.member_id)
  await first()

  await claimStore({ book: second })
  t.same(await gateway.request(getClaim, { claim_id }), { ok: false, rejection: 'NOT_FOUND' }, 'that starts from a book of before learns of it')
  t.same(await gateway.request(getClaim, { wa_jid: member.wa_jid }), { ok: false, rejection: 'NOT_FOUND' }, 'by whatever it is asked')
  await until('its book, too', async () => !readFileSync(second, 'utf8').includes(member.number))
  t.ok(await active(member), 'and lets the member claim')
})

t.test('a claim-store that died', async (t) => {
  const { claimStore, bus, somebody, failed, onlyTheWord, inStore, inBook } = await world(t)
  const [early, amid] = [somebody(), somebody()]
  const stop = await claimStore()
  const ids = [await failed(early), await failed(amid)]
  await stop()
  const asClaimStore = await bus('claim-store')
  for (const [n, { member_id }] of [early, amid].entries()) {
    await asClaimStore.publish(claimErased, { sign: createMac('l'.repeat(32)).sign, key: ids[n] as string, data: { member_id, claims: [{ claim_id: ids[n] as string, departures: 0 }], reason: 'asked' } })
  }
  await asClaimStore.raw.jsm.streams.deleteMessage('CLAIMS', await asClaimStore.lastSequence('CLAIMS', `claims.${amid.member_id}.requested`))
  t.ok(inBook(early.number) && inBook(amid.number), 'after the decision and before the book')
  await claimStore()
  for (const { member_id, number } of [early, amid]) {
    await onlyTheWord(member_id)
    t.same(inStore('CLAIMS', number), [], 'is made up for at the next start')
    await until('the book forgets', async () => !inBook(number))
  }
})

t.test('a book that cannot be written', async (t) => {
  const { claimStore, gateway, somebody, failed, held, onlyTheWord, lines, directory } = await world(t)
  const member = somebody()
  await claimStore()
  await failed(member)
  // Where the next version of the book would be written.
  await until('no version is being written', async () => {
    try {
      mkdirSync(join(directory, '.claims.json.new'))
      return true
    } catch {
      return false
    }
  })
  t.ok((await gateway.request(eraseMember, { wa_jid: member.wa_jid, ...word })).ok)
  await until('it is noticed', async () => lines.some((line) => line.includes('BOOK_UNWRITTEN')))
  t.same(await held(member.member_id), { requested: 1, failed: 1, erased: 1 }, 'is waited for before the history goes')
  rmdirSync(join(directory, '.claims.json.new'))
  await onlyTheWord(member.member_id)
})

t.test('a former member whose time is over', async (t) => {
  const { claimStore, somebody, failed, active, held, onlyTheWord, inStore, inBook, swept } = await world(t)
  const [former, living, back] = [somebody(), somebody(), somebody()]
  const stop = await claimStore()
  await failed(former)
  await active(living)
  await failed(back)
  await active(back)
  await stop()
  const isEarlyDone = swept()
  const early = await claimStore({ daysLater: 89.9 })
  await isEarlyDone()
  await early()
  t.same(await held(former.member_id), { requested: 1, failed: 1 }, 'is not erased before')
  // Two at once, which must not disturb each other.
  const late = [await claimStore({ daysLater: 90.1 }), await claimStore({ daysLater: 90.1 })]
  await onlyTheWord(former.member_id)
  t.same(inStore('CLAIMS', former.number), [], 'is erased by itself')
  await until('the book forgets', async () => !inBook(former.number))
  for (const { member_id } of [living, back]) t.notOk('erased' in await held(member_id), 'but nobody who has a server')
  for (const stopOne of late) await stopOne()
})

t.test('the word that somebody was erased', async (t) => {
  const { claimStore, gateway, somebody, failed, active, held, onlyTheWord, inStore, inBook, bookFile, directory, swept } = await world(t)
  const [one, other] = [somebody(), somebody()]
  const first = await claimStore()
  const ofOne = await failed(one)
  await failed(other)
  await first()
  const before = readFileSync(bookFile, 'utf8')
  await claimStore()
  for (const { wa_jid, member_id } of [one, other]) {
    await gateway.request(eraseMember, { wa_jid, ...word })
    await onlyTheWord(member_id)
  }
  const isLaterDone = swept()
  const later = await claimStore({ daysLater: 29.9, book: join(directory, 'later.json') })
  await isLaterDone()
  await later()
  t.same(await held(one.member_id), { erased: 1 }, 'stays for 30 days')
  const isMuchLaterDone = swept()
  const muchLater = await claimStore({ daysLater: 30.1, book: join(directory, 'later.json') })
  await until('the older word is gone', async () => Object.keys(await held(one.member_id)).length === 0)
  await isMuchLaterDone()
  t.same(inStore('CLAIMS', one.member_id), [], 'is then erased as well, pseudonym and all')
  t.same(inStore('OPERATIONS', one.member_id), [], 'and so is who had them erased, and why')
  t.same(await held(other.member_id), { erased: 1 }, 'unless it is the newest of the ledger, for which everybody waits who reads it')
  await muchLater()

  // The store that has run all the time holds the member's place in mind, which is no longer there.
  t.ok(await active(one), 'whoever was erased so long ago may claim, too')

  const old = join(directory, 'old.json')
  writeFileSync(old, before.replace(/"written_at":"[^"]*"/, `"written_at":"${new Date(Date.now() - 30 * DAY_MS).toISOString()}"`))
  await claimStore({ book: old })
  t.same(await gateway.request(getClaim, { claim_id: ofOne }), { ok: false, rejection: 'NOT_FOUND' })
  await until('it is written anew', async () => !readFileSync(old, 'utf8').includes(ofOne))
  t.notOk(inBook(ofOne), 'a book that is older is not believed, and written anew')
})

t.test('an old book that knows more than the stream', async (t) => {
  const { claimStore, bookFile } = await world(t)
  const text = `{"version":1,"sequence":5,"written_at":"${new Date(Date.now() - 40 * DAY_MS).toISOString()}","claims":[]}`
  writeFileSync(bookFile, text)
  await t.rejects(claimStore(), { code: 'LEDGER_BEHIND_BOOK' }, 'still stops the start')
  t.equal(readFileSync(bookFile, 'utf8'), text, 'and is left as it is')
})

t.test('damaged books that were set aside', async (t) => {
  const { claimStore, bookFile } = await world(t)
  const [old, recent] = [31, 29].map((days) => `${bookFile}.damaged-${Date.now() - days * DAY_MS}`) as [string, string]
  for (const path of [old, recent]) writeFileSync(path, '{')
  await claimStore()
  await until('the old one is removed', async () => !existsSync(old))
  t.ok(existsSync(recent), 'go after 30 days')
  t.equal(readdirSync(dirname(bookFile)).filter((name) => name.includes('damaged')).length, 1)
})
