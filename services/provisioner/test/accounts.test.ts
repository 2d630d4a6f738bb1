import t from 'tap'
import { randomUUID } from 'node:crypto'
import { resetPassword } from '../../../contracts/requests.ts'
import { account, accountsOf, callsOf, DOMAIN, failure, open, panelCall, ready, world, type Request } from './harness.ts'
import { memberIdOf } from '../../common/member-id.ts'

const w = await world(t)
await w.provisioner({ PANEL_PATIENCE_MS: 5_000 })

let number = 0
/** A member before their claim, so that the panel can be prepared. */
function member (): Pick<Request, 'wa_jid' | 'member_id' | 'username'> & { email: string } {
  const wa_jid = `62813${String(++number).padStart(8, '0')}@s.whatsapp.net`
  const member_id = memberIdOf('test key', wa_jid)
  return { wa_jid, member_id, username: `chosen${number}`, email: `${member_id}@${DOMAIN}` }
}
const claimOf = async ({ wa_jid, member_id, username }: ReturnType<typeof member>) => {
  const { claim_id } = await w.request({ wa_jid, member_id, username })
  return await w.ended(claim_id)
}

t.test('a user name', async (t) => {
  const one = member()
  await panelCall(w.panel, 'POST', '/users', account({ username: one.username, email: 'holder@elsewhere.example.invalid' }))
  const server = ready(await claimOf(one))
  t.equal(server.username, `${one.username}-${one.member_id.slice(0, 4)}`, 'that somebody else holds gets a suffix')
  t.ok(w.panel.login(server.username, await open(server.sealed_password)))
  const two = { ...member(), username: 'Upper.Case' }
  t.equal(ready(await claimOf(two)).username, 'upper.case', 'is said as the panel has it')
  const three = { ...member(), username: 'x'.repeat(60) }
  await panelCall(w.panel, 'POST', '/users', account({ username: three.username, email: 'long@elsewhere.example.invalid' }))
  t.equal(ready(await claimOf(three)).username.length, 60, 'stays within the limit with its suffix')
})

t.test("the member's own account from earlier", async (t) => {
  const one = member()
  await panelCall(w.panel, 'POST', '/users', account({ username: `old${one.username}`, email: one.email, external_id: one.wa_jid, password: 'before' }))
  // Look-alikes that the panel's partial filters find too.
  await panelCall(w.panel, 'POST', '/users', account({ username: `a${one.username}`, email: `a${one.email}`, external_id: `9${one.wa_jid}` }))
  const server = ready(await claimOf(one))
  t.equal(server.username, `old${one.username}`, 'is found, with the name it has')
  t.ok(w.panel.login(one.email, await open(server.sealed_password)), 'and the password that is sent')
  t.notOk(w.panel.login(one.email, 'before'))

  const two = member()
  await panelCall(w.panel, 'POST', '/users', account({ username: two.username, email: 'changed@elsewhere.example.invalid', external_id: two.wa_jid }))
  t.equal(ready(await claimOf(two)).username, two.username, 'is theirs under another address, which members can change')

  const three = member()
  await panelCall(w.panel, 'POST', '/users', account({ username: three.username, email: three.email }))
  const found = ready(await claimOf(three))
  t.equal(accountsOf(w.panel).find(({ id }) => id === found.user_id)?.externalId, three.wa_jid, 'is theirs without an external id, and gets it back')
})

t.test('an account that stands in the way', async (t) => {
  const one = member()
  await panelCall(w.panel, 'POST', '/users', account({ username: 'wicked', email: one.email, root_admin: true }))
  t.equal(failure(await claimOf(one)), 'IDENTITY_CONFLICT@account', 'because it is an administrator')
  t.ok(accountsOf(w.panel).find(({ username }) => username === 'wicked'), 'is left alone')

  const two = member()
  await panelCall(w.panel, 'POST', '/users', account({ username: 'foreign', email: two.email, external_id: '1555000@elsewhere' }))
  t.equal(failure(await claimOf(two)), 'IDENTITY_CONFLICT@account', 'because it belongs to another system')
  t.ok(accountsOf(w.panel).find(({ username }) => username === 'foreign'))
})

t.test('an account whose making is not answered', async (t) => {
  const sure = async (one: ReturnType<typeof member>): Promise<void> => {
    const server = ready(await claimOf(one))
    t.equal(accountsOf(w.panel).filter(({ email }) => email === one.email).length, 1, 'is made once')
    t.ok(w.panel.login(one.email, await open(server.sealed_password)), 'and has the password that is sent')
  }
  w.panel.setKnobs({ dropAfterCommit: { userCreate: 1 } })
  await sure(member())
  w.panel.setKnobs({ dropAfterCommit: { userCreate: 1, userUpdate: 1 } })
  await sure(member())
  w.panel.setKnobs({ mailFault: true })
  await sure(member())
  w.panel.setKnobs({ mailFault: false })
  w.panel.setKnobs({ answerNext: [{ route: 'POST /users', status: 502, times: 1 }] })
  await sure(member())
})

t.test('one claim in two hands at once', async (t) => {
  await w.provisioner({ PANEL_PATIENCE_MS: 5_000 })
  w.panel.setKnobs({ passwordHashMs: 40 })
  const claims = await Promise.all(Array.from({ length: 4 }, async () => {
    const request = await w.request()
    await Promise.all([w.request(request), w.request(request), w.request(request)])
    return request
  }))
  for (const { claim_id, member_id } of claims) {
    const server = ready(await w.ended(claim_id))
    t.equal(w.panel.state().servers.filter(({ externalId }) => externalId === claim_id).length, 1, 'becomes one server')
    t.ok(w.panel.login(`${member_id}@${DOMAIN}`, await open(server.sealed_password)), 'of an account that has the password that is sent')
  }
  w.panel.setKnobs({ passwordHashMs: 0 })
})

t.test('a new password', async (t) => {
  const request = await w.request()
  const server = ready(await w.ended(request.claim_id))
  const question = { claim_id: request.claim_id, member_id: request.member_id, user_id: server.user_id }
  const answer = await w.claimStore.request(resetPassword, question)
  t.match(answer, { ok: true, username: server.username })
  t.ok(answer.ok && w.panel.login(server.username, await open(answer.sealed_password)), 'is the one that opens the account')
  t.notOk(w.panel.login(server.username, await open(server.sealed_password)))
  t.match(accountsOf(w.panel).find(({ id }) => id === server.user_id), { externalId: request.wa_jid, username: server.username, rootAdmin: false }, 'and all that changed')
  t.match(await w.claimStore.request(resetPassword, question), { ok: false, rejection: 'TOO_SOON', retry_after_s: Number }, 'is not set twice in a minute, whichever provisioner is asked')

  const others = { claim_id: randomUUID(), member_id: member().member_id }
  t.match(await w.claimStore.request(resetPassword, { ...others, user_id: 1 }), { ok: false, rejection: 'IDENTITY_CONFLICT' }, 'is not set for an administrator')
  t.match(await w.claimStore.request(resetPassword, { ...others, user_id: server.user_id }), { ok: false, rejection: 'IDENTITY_CONFLICT' }, 'nor for the account of somebody else')
  t.match(await w.claimStore.request(resetPassword, { ...others, user_id: 4_000_000 }), { ok: false, rejection: 'SERVER_VANISHED' }, 'nor for one that is gone')

  const second = await w.request()
  const { user_id } = ready(await w.ended(second.claim_id))
  w.panel.setKnobs({ maintenance: true })
  const asked = { claim_id: second.claim_id, member_id: second.member_id, user_id }
  t.match(await w.claimStore.request(resetPassword, asked), { ok: false, rejection: 'PANEL_DOWN' })
  w.panel.setKnobs({ maintenance: false })
  t.match(await w.claimStore.request(resetPassword, asked), { ok: true }, 'a failure does not count')
  t.equal(callsOf(w.panel)['DELETE /users/{user}'], undefined)
})
