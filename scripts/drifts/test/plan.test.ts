import t from 'tap'
import fc from 'fast-check'
import { GROUP_DRIFT_KINDS, PANEL_DRIFT_KINDS, type Finding } from '../../../services/provisioner/drift.ts'
import { actionFor, planOf } from '../plan.ts'

const finding = (fields: Partial<Finding> = {}): Finding => ({ kind: 'SERVER_WITHOUT_CLAIM', memberId: 'abcdefghijklmnopqrst', claimId: '00000001-0000-4000-8000-000000000000', serverId: 201, userId: 101, owner: 'member', ...fields })
const one = fc.record({
  kind: fc.constantFrom(...PANEL_DRIFT_KINDS, ...GROUP_DRIFT_KINDS), memberId: fc.constantFrom('abcdefghijklmnopqrst', 'bcdefghijklmnopqrstu'),
  claimId: fc.constantFrom('1', '2'), serverId: fc.integer({ min: 1, max: 3 }), userId: fc.integer({ min: 1, max: 3 }), owner: fc.constantFrom('member', 'other'),
}, { requiredKeys: ['kind', 'memberId'] }) as fc.Arbitrary<Finding>

t.test('each kind has its step', async (t) => {
  t.same(Object.fromEntries([...PANEL_DRIFT_KINDS, ...GROUP_DRIFT_KINDS].map((kind) => [kind, actionFor(finding({ kind }))])), {
    CLAIM_WITHOUT_SERVER: 'person', SERVER_WITHOUT_CLAIM: 'delete_server', OWNER_MISMATCH: 'person', USER_WITHOUT_CLAIM: 'delete_account',
    MEMBER_ABSENT_NOT_SCHEDULED: 'tell_left', SCHEDULED_BUT_PRESENT: 'tell_joined', SCHEDULE_MISSING: 'schedule',
  })
  t.equal(actionFor(finding({ owner: 'other' })), 'person', 'a server that is in other hands is nobody\'s to delete but a person\'s')
})

t.test('the hash of a plan', async (t) => {
  t.equal(planOf([]).hash, planOf([]).hash)
  t.equal(planOf([finding()]).hash, 'f0a9167cabe6ce140bfd07e4caacd006cf9c9c3b0db42ba02f55440ecb58e13b', 'is the same on every machine')
  fc.assert(fc.property(fc.array(one, { maxLength: 12 }).chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))), ([list, shuffled]) => {
    const again = shuffled.map((each) => Object.fromEntries(Object.entries(each).toReversed()) as unknown as Finding)
    return planOf(list).hash === planOf(again).hash
  }))
  t.pass('does not hang on the order of findings or fields')
  const plain = planOf([finding(), finding({ kind: 'USER_WITHOUT_CLAIM' })])
  const { claimId: _, ...nameless } = finding()
  for (const [what, other] of Object.entries({
    'one finding less': [finding()], 'one more': [finding(), finding(), finding({ kind: 'USER_WITHOUT_CLAIM' })], 'another server': [finding({ serverId: 202 }), finding({ kind: 'USER_WITHOUT_CLAIM' })],
    'another account': [finding({ userId: 1 }), finding({ kind: 'USER_WITHOUT_CLAIM' })], 'no claim': [nameless, finding({ kind: 'USER_WITHOUT_CLAIM' })],
    'another owner, so another step': [finding({ owner: 'other' }), finding({ kind: 'USER_WITHOUT_CLAIM' })],
  })) t.not(planOf(other).hash, plain.hash, `${what} is another plan`)
})
