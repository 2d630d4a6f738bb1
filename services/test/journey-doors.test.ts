import t from 'tap'
import { jetstreamManager } from '@nats-io/jetstream'
import { connectNats } from '../common/connect.ts'
import type { Service } from '../../deploy/staging/system.ts'
import { killedJourney, startJourneySystem } from './journey.ts'

// The journey of journey.test.ts with each service that talks to people killed after every step, and nats-server.
const system = await startJourneySystem()
t.teardown(() => system.close())

for (const [index, service] of (['notifier', 'bot', 'gateway'] satisfies Service[]).entries()) {
  t.test(`the journey with ${service} killed after every step`, async (t) => {
    await killedJourney(t, system, 1 + index, async () => {
      await system.kill(service)
      await system.start(service)
    })
  })
}

t.test('the journey with nats-server killed after every step', async (t) => {
  await killedJourney(t, system, 4, async () => {
    await system.nats.kill('SIGKILL')
    await system.nats.restart()
  })
})

t.test('afterwards nobody has left a dead letter', async (t) => {
  const connection = await connectNats(system.nats.access('operator'), 'operator')
  const { state } = await (await jetstreamManager(connection)).streams.info('DEAD_LETTERS')
  t.equal(state.messages, 0)
  await connection.close()
})
