import t from 'tap'
import { loginsIn } from './crowd.ts'
import { wasAbsent } from './chaos/members.ts'
import { claimsIn, doubledIn, type Said } from './chaos/story.ts'

const said = (type: string, claim_id: string, wa_jid = '628120000001@s.whatsapp.net'): Said => ({ subject: '', type: `claim.${type}`, at: 0, data: { claim_id, wa_jid }, header: () => '' })
const statuses = (...ledger: Said[]) => [...claimsIn(ledger).claims.values()].map(({ status }) => status)

t.test('the judge of a chaos run', async (t) => {
  t.test('follows a claim to its end', async (t) => {
    const { claims, problems } = claimsIn([said('requested', 'a'), said('activated', 'a'), said('deletion_scheduled', 'a'), said('deletion_cancelled', 'a'), said('deletion_scheduled', 'a'), said('deletion_started', 'a'), said('deleted', 'a'), said('requested', 'b')])
    t.same([...claims.values()].map(({ status }) => status), ['deleted', 'creating'])
    t.same(problems, [])
  })
  t.test('knows a leave before the server was ready', async (t) => {
    t.same(statuses(said('requested', 'a'), said('deletion_scheduled', 'a'), said('activated', 'a')), ['leaving'])
    t.same(statuses(said('requested', 'a'), said('deletion_scheduled', 'a'), said('deletion_cancelled', 'a'), said('activated', 'a')), ['active'])
  })
  t.test('sees two living claims of one member', async (t) => {
    t.match(claimsIn([said('requested', 'a'), said('activated', 'a'), said('requested', 'b')]).problems, ['claim b was accepted while a of the same member was active'])
    t.same(claimsIn([said('requested', 'a'), said('requested', 'b', '628120000002@s.whatsapp.net')]).problems, [], 'and lets two members have one each')
  })
  t.test('sees what is said twice, or out of turn', async (t) => {
    t.match(claimsIn([said('requested', 'a'), said('activated', 'a'), said('activated', 'a')]).problems, ['claim.activated of a, which was active'])
    t.match(claimsIn([said('requested', 'a'), said('activated', 'a'), said('deletion_started', 'a')]).problems, ['claim.deletion_started of a, which was active'])
    t.match(claimsIn([said('failed', 'x')]).problems, ['claim.failed of x, which nobody asked for'])
  })
  t.test('sees one fact that a stream holds twice', async (t) => {
    const fact = (subject: string, id: string): Said => ({ ...said('activated', 'a'), subject, header: () => id })
    t.same(doubledIn([fact('messages.outbound.m', 'x'), fact('messages.outbound.m', 'y'), fact('messages.outbound.m', 'x')]), ['x'])
    t.same(doubledIn([fact('deletions.pending.a-d1', 'x'), fact('deletions.due.a-d1', 'x')]), [], 'and knows that what a schedule fires is the schedule')
  })
  t.test('knows whose password it is where an answer came between the two parts of a login', async (t) => {
    const texts = ['Server kamu siap!\nNama pengguna: user0001', 'Server kamu aktif.', 'A2'.repeat(16)]
    t.match(loginsIn(texts.map((text, at) => ({ id: String(at), from: 'bot', text, at }))), [{ username: 'user0001' }])
  })
  t.test('knows who was away, and when', async (t) => {
    const moves = [{ asked: 100, done: 110, isPresent: false }, { asked: 200, done: 210, isPresent: true }]
    t.same([[0, 90], [0, 100], [150, 160], [205, 300], [211, 300]].map(([from = 0, to = 0]) => wasAbsent(moves, from, to)), [false, true, true, true, false], 'a moment that may have been is one that was')
    t.equal(wasAbsent(moves.slice(0, 1), 500, 600), true, 'until they come back')
    t.equal(wasAbsent([], 0, 1_000), false, 'who never moved was there')
  })
})
