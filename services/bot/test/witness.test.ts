import t from 'tap'
import { deletionStarted } from '../../../contracts/events/claims.ts'
import { getClaim, type ClaimView } from '../../../contracts/requests.ts'
import { answering } from '../../common/bus.ts'
import { NOTHING_BELIEVED } from '../belief.ts'
import { membershipAt } from '../ledger-witness.ts'
import { afterSend, isRestricted, UNRESTRICTED } from '../restriction.ts'
import { jidOf, member, memberOf, outsider, world } from './harness.ts'

const CLAIM: ClaimView = {
  claim_id: '11111111-1111-4111-8111-111111111111', wa_jid: jidOf(member(1)), member_id: memberOf(member(1)), status: 'deleting', user_id: 1, server_id: 1, allocation_id: 1, deletion_scheduled_at: null, delete_job_id: null,
  created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z', last_event_at: '2026-01-01T00:00:00.000Z',
}

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('what the roster says of a moment', async (t) => {
  const people = [{ phone: '6281200000001', lid: '91' }]
  const believed = { ...NOTHING_BELIEVED, roster: { people, aliases: new Map() }, seenAt: 1_000 }
  const ids = new Set(['a'])
  t.equal(membershipAt(believed, 'a', ids, 1_000), 'present', 'somebody whom a reading from before shows was in the group')
  t.equal(membershipAt(believed, 'a', ids, 999), 'unknown', 'whom only a later one shows may have come back')
  t.equal(membershipAt(believed, 'b', ids, 1_000), 'absent')
  t.equal(membershipAt({ ...believed, roster: { people: [...people, { lid: '92' }], aliases: new Map() } }, 'b', ids, 1_000), 'unknown', 'while somebody hides the number, nobody is surely absent')
  t.equal(membershipAt(NOTHING_BELIEVED, 'a', ids, 1_000), 'unknown')
})

t.test('a deletion that the ledger starts', async (t) => {
  const { bot, bus, whatsapp, logged, until } = await world(t)
  const running = await bot()
  await logged('connected to WhatsApp')
  await until('the roster is read', async () => await running.metric('klaim_roster_reliable') === 1 || undefined)
  const ledger = await bus('claim-store')
  await ledger.respond([answering(getClaim, async (question) => {
    const memberId = 'member_id' in question ? question.member_id : ''
    return { ok: true as const, claim: { ...CLAIM, member_id: memberId, ...(memberId === memberOf(member(3)) ? { deletion_even_if_present: true } : {}) } }
  })])
  const start = async (number: string, id: number): Promise<void> => {
    const claim_id = `${id}1111111-1111-4111-8111-111111111111`
    await ledger.publish(deletionStarted, { key: `${claim_id}-d1`, data: { claim_id, member_id: memberOf(number), wa_jid: jidOf(number), language: 'id', delete_job_id: `${claim_id}-d1`, user_id: 1, server_id: 1 } })
  }
  const witnessed = async (membership: string) => await running.metric(`klaim_deletions_witnessed_total{membership="${membership}"`)
  await start(outsider(1), 1)
  await until('it is heard', async () => await witnessed('absent') === 1 || undefined)
  t.same([await running.metric('klaim_deletions_of_present_total'), await running.metric('klaim_deletion_of_present_timestamp_seconds'), await witnessed('present')], [0, 0, 0], 'of somebody who is not in the group is as it should be')

  await start(member(1), 2)
  await until('it is heard', async () => await witnessed('present') === 1 || undefined)
  t.equal(await running.metric('klaim_deletions_of_present_total'), 1, 'of a member of the group is counted')
  t.ok(Date.now() / 1_000 - await running.metric('klaim_deletion_of_present_timestamp_seconds') < 60, 'with its time')
  await logged('a deletion has started of a member whom the roster shows in the group')

  await start(member(3), 4)
  await until('it is heard', async () => await witnessed('ordered') === 1 || undefined)
  t.equal(await running.metric('klaim_deletions_of_present_total'), 1, 'that an operator ordered for somebody who is there is another thing')

  whatsapp.turnKnobs({ rosterLimit: 0 })
  await running.check(outsider(2), true)
  await until('the bot is blind', async () => await running.metric('klaim_roster_reliable') === 0 || undefined)
  await start(member(2), 3)
  await until('it is heard', async () => await witnessed('unknown') === 1 || undefined)
  t.equal(await running.metric('klaim_deletions_of_present_total'), 1, 'of whom nothing is known nothing is said')
})

t.test('an account that WhatsApp restricts', async (t) => {
  const now = 1_000_000
  const refused = (error: string) => afterSend(UNRESTRICTED, { kind: 'refused', error })
  t.notOk(isRestricted(UNRESTRICTED, now))
  t.ok(isRestricted({ ...UNRESTRICTED, lock: { isActive: true, until: now + 1 } }, now), 'is one that is locked')
  t.ok(isRestricted({ ...UNRESTRICTED, lock: { isActive: true, until: 0 } }, now), 'until nobody knows when')
  t.notOk(isRestricted({ ...UNRESTRICTED, lock: { isActive: true, until: now } }, now), 'until the lock is over')
  t.ok(isRestricted(refused('403'), now), 'is one whose messages are refused')
  t.notOk(isRestricted(afterSend(refused('403'), { kind: 'accepted' }), now), 'until one is accepted')
  t.notOk(isRestricted(refused('463'), now), 'is not one that somebody never wrote to')
  t.ok(isRestricted({ ...UNRESTRICTED, stopCode: 'WHATSAPP_BANNED' }, now), 'is one that was banned')
  t.notOk(isRestricted({ ...UNRESTRICTED, stopCode: 'WHATSAPP_REPLACED' }, now), 'is not one that somebody else uses')
})
