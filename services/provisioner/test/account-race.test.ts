// An account of a former member is deleted on an operator's word, and at that very moment the member claims again. Between the look at the ledger and the
// deletion there is always a moment, so the new claim has to survive it wherever it comes.
import t from 'tap'
import { memberIdOf } from '../../common/member-id.ts'
import { startGate } from './gate.ts'
import { account, accountsOf, DOMAIN, open, panelCall, ready, world } from './harness.ts'

t.test('a claim whose account is deleted', async (t) => {
  const w = await world(t)
  const gate = await startGate(t, w.panel.url)
  await w.provisioner({ PANEL_URL: gate.url })
  const moments: Record<string, { at: RegExp, isKept?: boolean }> = {
    'before it was looked for': { at: /^POST .*\/users$/ }, 'before it was found': { at: /^GET .*\/users\/external\// }, 'before it got its new password': { at: /^PATCH .*\/users\// },
    'before it got its server': { at: /^POST .*\/servers/ }, 'after that': { at: /^GET .*\/servers\?/, isKept: true },
  }
  let number = 0
  for (const [when, { at, isKept = false }] of Object.entries(moments)) {
    const wa_jid = `62811${String(++number).padStart(8, '0')}@s.whatsapp.net`
    const member = memberIdOf('test key', wa_jid)
    const { attributes } = await panelCall(w.panel, 'POST', '/users', account({ email: `${member}@${DOMAIN}`, username: `former${number}`, external_id: wa_jid }))
    const stopped = gate.stopAt(at)
    const request = await w.request({ wa_jid })
    const { goOn } = await stopped
    const { status } = await panelCall(w.panel, 'DELETE', `/users/${Number(attributes['id'])}`)
    t.equal(status, isKept ? 400 : 204)
    goOn()
    const server = ready(await w.ended(request.claim_id))
    t.equal(server.user_id === attributes['id'], isKept, `${when} gets ${isKept ? 'to keep it: the panel does not delete who owns something' : 'a new one'}`)
    t.same(accountsOf(w.panel).filter(({ email }) => email.startsWith(member)).map(({ id }) => id), [server.user_id])
    t.same(w.panel.state().servers.filter(({ externalId }) => externalId === request.claim_id).map(({ id, listens }) => [id, listens]), [[server.server_id, true]])
    t.ok(w.panel.login(server.username, await open(server.sealed_password)), 'and the login that was told opens it')
  }
})
