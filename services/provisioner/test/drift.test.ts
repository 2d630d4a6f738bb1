import t from 'tap'
import fc from 'fast-check'
import type { ClaimView } from '../../../contracts/requests.ts'
import { groupDrift, panelDrift, settledOf, type PanelContents, type Presence } from '../drift.ts'
import type { Account } from '../identity.ts'

const DOMAIN = 'members.klaim.invalid'
const at = '2026-11-01T00:00:00.000Z'
const now = Date.parse('2026-11-02T00:00:00.000Z')
const later = '2026-11-03T00:00:00.000Z'
const uuid = (n: number): string => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`
const memberOf = (n: number): string => 'abcdefghijklmnopqrs' + 'abcdefghijklmnopqrstuvwxyz'.charAt(n)
const jidOf = (n: number): string => `62812${String(n).padStart(8, '0')}@s.whatsapp.net`

const claim = (n: number, fields: Partial<ClaimView> = {}): ClaimView => ({
  claim_id: uuid(n), member_id: memberOf(n), wa_jid: jidOf(n), status: 'active', user_id: n + 100, server_id: n + 200, allocation_id: n, deletion_scheduled_at: null, delete_job_id: null,
  created_at: at, updated_at: at, last_event_at: at, ...fields,
})
const leaving = (n: number, fields: Partial<ClaimView> = {}): ClaimView => claim(n, { status: 'deleting', delete_job_id: `${uuid(n)}-d1`, deletion_scheduled_at: later, ...fields })
const server = (n: number, fields: object = {}): PanelContents['servers'][number] => ({ id: n + 200, externalId: uuid(n), userId: n + 100, ...fields })
const user = (n: number, fields: Partial<Account> = {}): Account => ({ id: n + 100, external_id: jidOf(n), email: `${memberOf(n)}@${DOMAIN}`, username: 'member', first_name: 'member', last_name: 'Klaim', root_admin: false, ...fields })
const all = (claims: readonly ClaimView[]): Set<string> => new Set(claims.map(({ claim_id: id }) => id))
const kindsOf = (claims: ClaimView[], servers: PanelContents['servers'], users: readonly Account[] = [], settled = all(claims)): string[] => panelDrift(claims, settled, { servers, users }, DOMAIN).map(({ kind }) => kind)

t.test('ledger and panel', async (t) => {
  t.same(kindsOf([claim(1), leaving(2)], [server(1), server(2)], [user(1), user(2)]), [], 'agree')
  t.same(kindsOf([claim(1)], []), ['CLAIM_WITHOUT_SERVER'])
  t.same(kindsOf([leaving(1)], []), ['CLAIM_WITHOUT_SERVER'])
  t.same(kindsOf([claim(1)], [server(1, { externalId: null })]), [], 'an external id that was cleared is no missing server')
  t.same(kindsOf([claim(1)], [server(1, { externalId: null, userId: 7 })]), ['CLAIM_WITHOUT_SERVER'], 'unless it is of somebody else')
  t.same(kindsOf([claim(1)], [server(1, { externalId: 'other' })]), ['CLAIM_WITHOUT_SERVER'])
  t.same(kindsOf([claim(1)], [server(1, { userId: 7 })]), ['OWNER_MISMATCH'])
  t.same(kindsOf([claim(1)], [server(1, { id: 7 })]), ['OWNER_MISMATCH'])
  for (const status of ['failed', 'deleted'] as const) t.same(kindsOf([claim(1, { status })], [server(1)]), ['SERVER_WITHOUT_CLAIM'], status)
  t.same(kindsOf([claim(1, { status: 'creating', server_id: null })], [server(1)]), [], 'nothing is said of what is being made')
  t.same(kindsOf([leaving(1, { deletion_started: true })], []), [], 'nor of what is being deleted')
  t.same(kindsOf([], [server(1)], [user(1)]), [], 'nor of what the ledger does not know')
  t.same(kindsOf([claim(1)], [], [], new Set()), [], 'nor of what changed meanwhile')
})

t.test('a server without a claim', async (t) => {
  const owners = (users: readonly Account[]): unknown[] => panelDrift([claim(1, { status: 'failed' })], all([claim(1)]), { servers: [server(1)], users }, DOMAIN).map(({ owner }) => owner)
  t.same(owners([user(1)]), ['member'], 'is in the hands of the member')
  for (const [what, users] of Object.entries({ 'an administrator': [user(1, { root_admin: true })], 'another member': [user(1, { external_id: jidOf(2) })], 'nobody who is listed': [] })) t.same(owners(users), ['other'], `or of ${what}`)
})

t.test('an account without a living claim', async (t) => {
  const past = claim(1, { status: 'deleted' })
  t.same(kindsOf([past], [], [user(1)]), ['USER_WITHOUT_CLAIM'])
  t.same(kindsOf([past], [], [user(1, { external_id: null })]), ['USER_WITHOUT_CLAIM'], 'is known by its address')
  t.same(kindsOf([past], [], [user(1, { email: 'changed@elsewhere.example' })]), ['USER_WITHOUT_CLAIM'], 'or by its number')
  for (const [what, changed] of Object.entries({
    'an administrator': { root_admin: true }, 'the number of another': { external_id: jidOf(2) }, 'another in capitals': { external_id: null, email: `${memberOf(1).toUpperCase()}@${DOMAIN}` },
    'nobody we know': { external_id: null, email: 'x@elsewhere.example' },
  })) t.same(kindsOf([past], [], [user(1, changed)]), [], `${what} is none of ours`)
  t.same(kindsOf([past], [server(9, { externalId: null, userId: 101 })], [user(1)]), [], 'stays where it owns something')
  t.same(kindsOf([past, claim(2, { member_id: memberOf(1), wa_jid: jidOf(1), server_id: 201, user_id: 101 })], [server(2, { id: 201, userId: 101 })], [user(1)]), [], 'or its member has claimed again')
  t.same(kindsOf([past, claim(2, { member_id: memberOf(1), status: 'failed' })], [], [user(1)], all([past])), [], 'or something of theirs changed meanwhile')
})

t.test('ledger and group', async (t) => {
  const kinds = (claims: ClaimView[], is: Presence | undefined, isPending = true): string[] =>
    groupDrift(claims, new Map(is === undefined ? [] : [[memberOf(1), is]]), new Set(isPending ? [`${uuid(1)}-d1`] : []), now).map(({ kind }) => kind)
  t.same(kinds([claim(1)], 'present'), [])
  t.same(kinds([claim(1)], 'absent'), ['MEMBER_ABSENT_NOT_SCHEDULED'])
  t.same(kinds([leaving(1)], 'absent'), [])
  t.same(kinds([leaving(1)], 'present'), ['SCHEDULED_BUT_PRESENT'])
  t.same(kinds([{ ...leaving(1), deletion_even_if_present: true }], 'present'), [], 'unless an operator wants it so')
  t.same(kinds([leaving(1)], 'absent', false), ['SCHEDULE_MISSING'])
  t.same(kinds([leaving(1, { deletion_scheduled_at: at })], 'absent', false), [], 'what is due may be between two wake-ups')
  t.same(kinds([leaving(1, { deletion_started: true })], 'present', false), [], 'after the point of no return nothing is to be said')
  for (const is of ['unknown', undefined] as const) t.same(kinds([claim(1), leaving(1)], is), [], `${is} is not absent`)
  for (const status of ['failed', 'deleted'] as const) t.same(kinds([claim(1, { status })], 'absent', false), [], status)
})

t.test('what changed while the panel was read is left out', async (t) => {
  const changed = claim(2, { last_event_at: later })
  t.same(settledOf([claim(1), claim(2), claim(3)], [claim(1), changed, claim(4)]), [claim(1)])
})

t.test('whatever stands on the panel, nothing is said of what is not ours', async () => {
  const ids = fc.integer({ min: 0, max: 5 })
  const claims = fc.uniqueArray(fc.record({ n: ids, status: fc.constantFrom('creating', 'active', 'deleting', 'failed', 'deleted') }), { selector: ({ n }) => n }).map((list) => list.map(({ n, status }) => claim(n, { status: status as ClaimView['status'] })))
  const servers = fc.uniqueArray(fc.record({ id: fc.integer({ min: 200, max: 212 }), externalId: fc.option(fc.oneof(ids.map(uuid), fc.string())), userId: fc.integer({ min: 100, max: 110 }) }), { selector: ({ id }) => id })
  const users = fc.uniqueArray(fc.record({ id: fc.integer({ min: 100, max: 110 }), external_id: fc.option(fc.oneof(ids.map(jidOf), fc.string())), email: fc.oneof(ids.map((n) => `${memberOf(n)}@${DOMAIN}`), fc.string()), root_admin: fc.boolean() })
    .map((fields) => user(0, fields)), { selector: ({ id }) => id })
  fc.assert(fc.property(claims, servers, users, (claims, servers, users) => {
    const known = all(claims)
    return panelDrift(claims, known, { servers, users }, DOMAIN).every(({ kind, claimId, memberId, serverId, userId }) => {
      const theirs = claims.filter(({ member_id: id }) => id === memberId)
      if (theirs.length === 0) return false
      if (kind === 'USER_WITHOUT_CLAIM') {
        const account = users.find(({ id }) => id === userId)
        const isTheirs = account?.external_id === theirs[0]?.wa_jid || account?.external_id === null && account.email === `${memberId}@${DOMAIN}`
        return account?.root_admin === false && isTheirs && !servers.some((server) => server.userId === userId)
      }
      if (kind === 'CLAIM_WITHOUT_SERVER') return known.has(claimId ?? '') && !servers.some(({ externalId }) => externalId === claimId)
      return known.has(claimId ?? '') && servers.find(({ id }) => id === serverId)?.externalId === claimId
    })
  }), { numRuns: 3_000 })
})
