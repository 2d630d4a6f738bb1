// The process dies with SIGKILL after each step was said; another one takes over.
import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { accountsOf, configOf, open, ready, world } from './harness.ts'

t.test('a provisioner that is killed', async (t) => {
  const w = await world(t, { panel: { wings: { installDelayMs: 600, startDelayMs: 400 }, knobs: { passwordHashMs: 80, latencyMs: 20 } } })
  const born = () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts')], { env: { ...process.env, ...configOf(w) }, stdio: ['ignore', 'ignore', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    return child
  }
  /** Nobody is there to say that a message is still in work: it is free again at once instead of after 10 s. */
  const freeMessages = async (): Promise<void> => {
    await w.claimStore.raw.jsm.consumers.update('CLAIMS', 'provisioner-claims', { ack_wait: 100e6 })
    // The server looks through what is pending by itself, and tells nobody when it has.
    await delay(400)
    await w.nats.restoreTopology()
  }
  const claims = []
  for (const step of ['queued', 'account', 'port', 'create', 'install', 'probe']) {
    const child = born()
    const request = await w.request()
    claims.push(request)
    while (!w.said(request.claim_id).some(({ data }) => (data as { step?: string }).step === step)) await new Promise(setImmediate)
    const dead = once(child, 'exit')
    child.kill('SIGKILL')
    await dead
    await freeMessages()
  }
  born()
  for (const { claim_id, member_id } of claims) {
    const server = ready(await w.ended(claim_id))
    const mine = w.panel.state().servers.filter(({ externalId }) => externalId === claim_id)
    t.match(mine, [{ id: server.server_id, listens: true }], 'leaves one server')
    t.equal(accountsOf(w.panel).filter(({ email }) => email.startsWith(member_id)).length, 1, 'one account')
    t.ok(w.panel.login(server.username, await open(server.sealed_password)), 'and the password that opens it')
    t.equal(w.said(claim_id).filter(({ name }) => name === 'ready').length, 1)
  }
  t.equal(w.panel.state().servers.length, claims.length)
})
