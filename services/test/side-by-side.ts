// Two versions of Klaim at once, on the streams of the newer: a member's way with both, during a rollout, and during its way back. It takes a checkout of
// the version before, so scripts/side-by-side starts it and scripts/test does not.
import t from 'tap'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { writeFileSync } from 'node:fs'
import { STREAMS } from '../../contracts/streams.ts'
import { SERVICES, type Service } from '../../deploy/staging/system.ts'
import { connectNats } from '../common/connect.ts'
import { journey, serversMade, startJourneySystem } from './journey.ts'

const before = process.env['KLAIM_BEFORE'] ?? ''
const newer = new Set<string>()
/** The first of each service is of the version before, the second of this one; then a rollout changes that. */
for (const service of SERVICES) newer.add(`${service}-2`)

const system = await startJourneySystem({ doubled: SERVICES, readyMsMax: 240_000, rootOf: (name) => newer.has(name) ? undefined : before })
t.teardown(() => system.close())

async function walk (t: Parameters<typeof journey>[0], member: number, disturb: (step: number) => Promise<void>): Promise<void> {
  const made = await serversMade(system)
  let step = 0
  await journey(t, system, member, async () => { await disturb(step++) })
  t.equal(await serversMade(system) - made, 1, 'one server was made')
}
/** Ends a process as a rollout does, and starts it in the other version. */
async function replace (service: Service, isNew: boolean): Promise<void> {
  await system.kill(service, 'SIGTERM')
  if (isNew) newer.add(service)
  else newer.delete(service)
  await system.start(service)
}
const order: readonly Service[] = ['bot', 'notifier', 'reaper', 'provisioner', 'claim-store', 'gateway']

t.test('both versions of every service at once', async (t) => { await walk(t, 1, async () => {}) })

t.test('the version before alone', async (t) => {
  for (const service of SERVICES) await system.kill(`${service}-2`, 'SIGTERM')
  await walk(t, 2, async () => {})
})

t.test('a rollout while a member is on the way, one service after each step', async (t) => {
  await walk(t, 3, async (step) => { const service = order[step]; if (service) await replace(service, true) })
  t.same(SERVICES.filter((service) => !newer.has(service)), [], 'all are of this version')
})

t.test('and back, the other way round', async (t) => {
  await walk(t, 4, async (step) => { const service = order.toReversed()[step]; if (service) await replace(service, false) })
  t.same(SERVICES.filter((service) => newer.has(service)), [], 'all are of the version before')
})

t.test('nobody met what could not be read', async (t) => {
  const connection = await connectNats(system.nats.access('operator'), 'operator')
  t.teardown(() => connection.close())
  const streams = await jetstreamManager(connection)
  t.equal((await streams.streams.info('DEAD_LETTERS')).state.messages, 0, 'there is no dead letter')
  const lines: string[] = []
  for (const { name } of STREAMS.filter(({ name }) => name !== 'DEAD_LETTERS' && name !== 'LIMITS')) {
    const { state: { messages } } = await streams.streams.info(name)
    if (messages === 0) continue
    const consumer = await jetstream(connection).consumers.get(name)
    for await (const message of await consumer.fetch({ max_messages: messages, expires: 5_000 })) {
      const type = message.headers?.get('ce-type') ?? ''
      if (type !== '') lines.push(JSON.stringify({ type, data: message.json() }))
    }
  }
  t.ok(lines.length > 50, 'there is much that was read')
  const file = process.env['KLAIM_EVENTS_FILE']
  if (file) writeFileSync(file, `${lines.join('\n')}\n`)
})
