import t from 'tap'
import { broken, choose, type NodeView } from '../allocation.ts'
import { isConflict, isOurs, usernamesOf, type Account } from '../identity.ts'
import { randomPassword } from '../password.ts'
import { Username } from '../../../contracts/ids.ts'
import { validatorOf } from '../../common/envelope.ts'

const port = (id: number, node: number, assigned = false) => ({ id, node, ip: '127.0.0.1', alias: null, port: 20_000 + id, assigned })
const nodes: NodeView[] = [{ id: 1, isOut: false, ports: [port(1, 1), port(2, 1, true)] }, { id: 2, isOut: true, ports: [port(3, 2)] }, { id: 3, isOut: false, ports: [port(4, 3)] }]

t.test('the choice of a port', async (t) => {
  const chosen = (random: number, taken: number[] = []) => { const choice = choose(nodes, (id) => taken.includes(id), () => random); return choice.kind === 'port' ? choice.port.id : choice.reason }
  t.same([chosen(0), chosen(0.49), chosen(0.5), chosen(0.999)], [1, 1, 4, 4], 'is over all that are free, on nodes that work')
  t.equal(chosen(0, [1]), 4)
  t.equal(chosen(0, [1, 4]), 'full')
  t.same(choose(nodes.filter(({ isOut }) => isOut), () => false, () => 0), { kind: 'none', reason: 'down' })
})

t.test('a node that fails', async (t) => {
  const first = broken(undefined, 1_000, 100)
  t.same(first, { failures: 1, openUntil: 1_100 })
  t.equal(broken(first, 1_050, 100), first, 'is not blamed again for calls that were under way')
  let breaker = first
  for (let failure = 0; failure < 9; failure++) breaker = broken(breaker, breaker.openUntil, 100)
  t.equal(broken(breaker, 100_000, 100).openUntil, 100_800, 'is left alone for longer each time, within a limit')
})

t.test('whose an account is', async (t) => {
  const identity = { memberId: 'abcdefghijklmnopqrst', waJid: '6281200000001@s.whatsapp.net', email: 'abcdefghijklmnopqrst@members.example.invalid' }
  const account = (changes: Partial<Account>): Account => ({ id: 1, external_id: identity.waJid, username: 'x', email: identity.email, first_name: 'x', last_name: 'x', root_admin: false, ...changes })
  t.ok(isOurs(account({}), identity))
  t.ok(isOurs(account({ email: 'changed@elsewhere.example.invalid' }), identity), 'the external id proves it')
  t.ok(isOurs(account({ external_id: null }), identity))
  t.notOk(isOurs(account({ external_id: null, email: 'other@elsewhere.example.invalid' }), identity))
  t.notOk(isOurs(account({ external_id: `9${identity.waJid}` }), identity), 'a longer number is another')
  t.notOk(isOurs(account({ root_admin: true }), identity), 'an administrator never')
  t.ok(isConflict(account({ root_admin: true }), identity))
  t.notOk(isConflict(account({ external_id: 'other', email: `a${identity.email}` }), identity))
})

t.test('names to try', async (t) => {
  t.same(usernamesOf('Chosen', 'abcdefghijklmnopqrst').slice(0, 2), ['chosen', 'chosen-abcd'])
  for (const name of usernamesOf('x'.repeat(60), 'abcdefghijklmnopqrst')) t.ok(validatorOf(Username).Check(name), name)
})

t.test('a password', async (t) => {
  const many = Array.from({ length: 200 }, randomPassword)
  t.equal(new Set(many).size, 200)
  t.ok(many.every((password) => /^[a-zA-Z2-9]{32}$/.test(password)))
})
