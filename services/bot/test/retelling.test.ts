import t from 'tap'
import { randomUUID } from 'node:crypto'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { getClaim, memberSeen, tellMovement, type ClaimView } from '../../../contracts/requests.ts'
import { rosterBucket } from '../../../contracts/streams.ts'
import { answering } from '../../common/bus.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import { createAnnouncer } from '../announcer.ts'
import { createBotMetrics, NO_BOT } from '../metrics.ts'
import { jidOf, member, memberOf, outsider, world } from './harness.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('a movement that the ledger does not know', async (t) => {
  const { whatsapp, bus, bot, logged, events, lines } = await world(t, { members: 30 })
  const claims = new Map<string, ClaimView>()
  const store = await bus('claim-store')
  await store.respond([answering(getClaim, async (question) => {
    const claim = 'claim_id' in question ? claims.get(question.claim_id) : undefined
    return claim ? { ok: true as const, claim } : { ok: false as const, rejection: 'NOT_FOUND' as const }
  })])
  const at = new Date().toISOString()
  const claimOf = (number: string, fields: Partial<ClaimView> = {}): string => {
    const claim_id = randomUUID()
    claims.set(claim_id, { claim_id, member_id: memberOf(number), wa_jid: jidOf(number), status: 'active', user_id: 1, server_id: 2, allocation_id: 3, deletion_scheduled_at: null, delete_job_id: null, created_at: at, updated_at: at, last_event_at: at, ...fields })
    return claim_id
  }
  const leaving = { status: 'deleting', delete_job_id: `${randomUUID()}-d1`, deletion_scheduled_at: at } as const
  await bot({ ROSTER_CONFIRM_MS: '60000' })
  await logged('connected to WhatsApp')
  const operator = await bus('operator')
  const tell = async (claim_id: string, movement: 'joined' | 'left'): Promise<string> => await operator.request(tellMovement, { claim_id, movement, by: 'on call', why: 'restored' }).then((answer) => answer.ok ? answer.outcome : answer.rejection)
  const said = async (): Promise<string[]> => [...(await events(memberJoined)).map(({ data }) => `+${data.wa_jid}`), ...(await events(memberLeft)).map(({ data }) => `-${data.wa_jid}`)]

  const seen = async (claim_id: string): Promise<string> => await operator.request(memberSeen, { claim_id }).then((answer) => answer.ok ? answer.seen : answer.rejection)
  t.same([await seen(claimOf(member(1))), await seen(claimOf(outsider(1))), await seen(randomUUID())], ['present', 'absent', 'NOT_FOUND'], 'claim-store may ask who is in the group, by claim')
  t.equal(await tell(claimOf(member(1)), 'left'), 'MEMBERSHIP_OTHER', 'is not said of whom the group shows')
  t.equal(await tell(claimOf(outsider(1), leaving), 'joined'), 'MEMBERSHIP_OTHER', 'nor of whom it does not')
  for (const [what, id, movement] of [
    ['whose departure the ledger knows', claimOf(outsider(1), leaving), 'left'], ['whose return it knows', claimOf(member(1)), 'joined'], ['whose deletion has begun', claimOf(member(1), { ...leaving, deletion_started: true }), 'joined'],
    ['whose claim is over', claimOf(outsider(1), { status: 'deleted' }), 'left'], ['of whom it knows nothing', randomUUID(), 'left'],
  ] as const) t.equal(await tell(id, movement), 'already', `nor of somebody ${what}`)

  whatsapp.turnKnobs({ groupQueryError: { code: 403, remaining: 1 } })
  t.equal(await tell(claimOf(outsider(1)), 'left'), 'MEMBERSHIP_UNKNOWN', 'nor where the group cannot be read')
  whatsapp.turnKnobs({ rosterLimit: 10 })
  for (const [number, movement, claim] of [[outsider(1), 'left', {}], [member(29), 'left', {}], [member(1), 'joined', leaving]] as const) {
    t.equal(await tell(claimOf(number, claim), movement), 'MEMBERSHIP_UNKNOWN', 'nor from a reading that is not to be believed')
  }
  t.same(await said(), [], 'and none of that is heard by the ledger')

  whatsapp.turnKnobs({ rosterLimit: null })
  t.equal(await tell(claimOf(outsider(1)), 'left'), 'done')
  t.equal(await tell(claimOf(member(1), leaving), 'joined'), 'done')
  t.same(await said(), [`+${jidOf(member(1))}`, `-${jidOf(outsider(1))}`], 'is said once more where the group shows it')
  const person = whatsapp.addPerson({ number: '551188887777', dialled: ['5511988887777'], inGroup: true })
  t.equal(await tell(claimOf('5511988887777', leaving), 'joined'), 'done')
  t.ok((await said()).includes(`+${jidOf('5511988887777')}`), `under the number of the claim, not ${person.number}`)
  t.notMatch(lines.filter((line) => line.includes('said once more')).join(''), /62812|62813|5511/, 'and no log names a number')
})

t.test('what is said once more, beside what readings tell', async (t) => {
  const { bus, events } = await world(t)
  const working = await bus('bot')
  const announcer = await createAnnouncer({
    bucket: await working.bucket(rosterBucket), bus: working, groupId: '120363@g.us', memberIdOf: (waJid) => memberOf(waJid.split('@')[0] ?? ''), policy: { confirmReads: 3, confirmMs: 1_000 }, log: createLog('bot', 'fatal'),
    metrics: createBotMetrics(createMetrics('bot'), NO_BOT),
  })
  const [first, second] = [Date.now() - 2_000, Date.now() - 1_000]
  const reading = (readAt: number, ...numbers: number[]) => ({ readAt, includesUs: true, people: numbers.map((n) => ({ phone: member(n), lid: `9${n}` })) })
  const left = (seenAt: number) => ({ kind: 'left' as const, waJid: jidOf(member(3)), phone: member(3), seenAt })
  await announcer.take(reading(first, 1, 2))
  // Both are asked for while nobody waits: the reading comes first.
  const [, isSaid] = await Promise.all([announcer.take(reading(second, 1, 2, 3)), announcer.sayAgain(left(first))])
  t.equal(isSaid, false, 'is not said from a reading that is not the newest any more')
  t.equal(await announcer.sayAgain(left(second)), false, 'nor against what it shows')
  t.same((await events(memberLeft)).length, 0)
  t.equal(await announcer.sayAgain({ ...left(second), kind: 'joined' }), true)
  t.equal(await announcer.sayAgain({ ...left(second), kind: 'joined' }), true, 'twice of one reading is once')
  t.equal((await events(memberJoined)).length, 2, 'after what the reading itself told')

  // Whom a reading shows by a LID alone may be anybody whose number was looked up before it.
  const hidden = Date.now() - 700
  await announcer.take({ ...reading(hidden, 1, 2, 3), people: [...reading(hidden, 1, 2, 3).people, { lid: '777' }] })
  t.equal(await announcer.sayAgain({ kind: 'left', waJid: jidOf(member(5)), phone: member(5), seenAt: second }), false, 'nor from what was looked up before it')
  await announcer.take(reading(Date.now() - 500, 1, 2))
  const third = Date.now()
  await announcer.take(reading(third, 1, 2))
  const [again] = await Promise.all([announcer.sayAgain(left(third)), announcer.take(reading(third + 1, 1, 2, 3))])
  t.equal(again, true)
  t.same((await events(memberJoined)).length, 3, 'and who comes back meanwhile has the last word')
  const operator = await bus('operator')
  const newest = async (what: string): Promise<number> => (await operator.raw.jsm.direct.getMessage('MEMBERS', { last_by_subj: `members.${memberOf(member(3))}.${what}` }))?.seq ?? 0
  t.ok(await newest('joined') > await newest('left'))
})
