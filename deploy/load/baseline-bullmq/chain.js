// From the form to a server as one would build it first: BullMQ's queues on Redis. HTTP → is this number in the group → account → server → poll → notify,
// each step a job of its own queue. It knows no crash between two steps, no limit of the panel, no deletion: it is here to be measured against, and for nothing else.
//
// Environment: REDIS_PORT, PORT, BOT_URL and INTERNAL_SECRET as Klaim's gateway has them, PANEL_URL, PANEL_KEY, SERVER (JSON: the fields of a new server).
// Prints one JSON line for each claim and step: {"claim": id, "accepted" | "made" | "active" | "notified": epoch ms}.
import { randomBytes, randomUUID } from 'node:crypto'
import { env, stdout } from 'node:process'
import { Queue, Worker } from 'bullmq'
import fastify from 'fastify'

const POLL_EVERY_MS = 3_000
/** As Klaim's, so that the panel's workers are as busy. */
const [CREATES_AT_ONCE, OTHERS_AT_ONCE] = [2, 16]

const connection = { host: '127.0.0.1', port: Number(env.REDIS_PORT), maxRetriesPerRequest: null }
const say = (line) => { stdout.write(`${JSON.stringify(line)}\n`) }
const queueOf = (name) => new Queue(name, { connection, defaultJobOptions: { attempts: 5, backoff: { type: 'exponential', delay: 500 }, removeOnComplete: 10_000 } })
const [users, servers, polls, messages] = ['users', 'servers', 'polls', 'messages'].map(queueOf)

async function panel (method, path, body) {
  const answer = await fetch(`${env.PANEL_URL}/api/application${path}`, {
    method, headers: { authorization: `Bearer ${env.PANEL_KEY}`, accept: 'application/json', ...(body && { 'content-type': 'application/json' }) }, ...(body && { body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`)
  return await answer.json()
}

/** Free ports of the first node, taken one after the other. */
const { attributes: node } = await panel('GET', '/nodes/1?include=allocations')
const free = node.relationships.allocations.data.map(({ attributes }) => attributes).filter(({ assigned }) => !assigned)

const work = (name, concurrency, handle) => {
  const worker = new Worker(name, async ({ data }) => { await handle(data) }, { connection, concurrency })
  worker.on('failed', (_, error) => { console.error(name, error.message) })
}
work('users', OTHERS_AT_ONCE, async ({ claim, member, username }) => {
  const { attributes } = await panel('POST', '/users', { email: `${member.split('@')[0]}@members.klaim.invalid`, username, first_name: username, last_name: 'Klaim', external_id: member, password: randomBytes(24).toString('base64'), root_admin: false })
  await servers.add('server', { claim, member, user: attributes.id }, { jobId: `${claim}-server` })
})
work('servers', CREATES_AT_ONCE, async ({ claim, member, user }) => {
  const allocation = free.shift()
  if (!allocation) throw new Error('no port is free')
  const { attributes } = await panel('POST', '/servers?include=allocations', { ...JSON.parse(env.SERVER), external_id: claim, name: claim, user, allocation: { default: allocation.id } })
  say({ claim, made: Date.now() })
  await polls.add('poll', { claim, member, server: attributes.id }, { jobId: `${claim}-poll-0`, delay: POLL_EVERY_MS })
})
work('polls', OTHERS_AT_ONCE, async ({ claim, member, server, round = 0 }) => {
  const { attributes } = await panel('GET', `/servers/${server}`)
  if (attributes.status === 'installing') {
    await polls.add('poll', { claim, member, server, round: round + 1 }, { jobId: `${claim}-poll-${round + 1}`, delay: POLL_EVERY_MS })
    return
  }
  say({ claim, active: Date.now() })
  await messages.add('ready', { claim, member }, { jobId: `${claim}-ready` })
})
work('messages', 1, async ({ claim }) => { say({ claim, notified: Date.now() }) })

const app = fastify()
app.post('/api/claim', {
  schema: { body: { type: 'object', required: ['username', 'wa_number_e164', 'template'], properties: { username: { type: 'string', maxLength: 60 }, wa_number_e164: { type: 'string', pattern: '^\\+[1-9]\\d{6,14}$' }, template: { type: 'string' } } } },
}, async (request, reply) => {
  const member = `${request.body.wa_number_e164.slice(1)}@s.whatsapp.net`
  const answer = await fetch(`${env.BOT_URL}/internal/check-member`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-internal-secret': env.INTERNAL_SECRET }, body: JSON.stringify({ wa_jid: member }) })
  if (!answer.ok) return await reply.code(503).send({ error: { code: 'BOT_OFFLINE' } })
  const { membership } = await answer.json()
  if (membership !== 'present') return await reply.code(403).send({ error: { code: 'NOT_MEMBER' } })
  const claim = randomUUID()
  // The job's id is the member's, so a second claim adds nothing.
  const { data } = await users.add('user', { claim, member, username: request.body.username }, { jobId: member })
  if (data.claim !== claim) return await reply.code(409).send({ error: { code: 'ALREADY_CLAIMED' } })
  say({ claim, accepted: Date.now() })
  return await reply.code(202).send({ claim_id: claim })
})
await app.listen({ port: Number(env.PORT), host: '127.0.0.1' })
say({ ready: true })
