import t from 'tap'
import type { Service } from '../../deploy/staging/system.ts'
import { killedJourney, startJourneySystem } from './journey.ts'

// The whole way through real processes: undisturbed, and with each service that decides or acts killed after every step.
const system = await startJourneySystem()
t.teardown(() => system.close())

t.test('a member claims, leaves, returns, and leaves for good', async (t) => {
  await killedJourney(t, system, 1, async () => {})
})

for (const [index, service] of (['claim-store', 'provisioner', 'reaper'] satisfies Service[]).entries()) {
  t.test(`the same with ${service} killed after every step`, async (t) => {
    await killedJourney(t, system, 2 + index, async () => {
      await system.kill(service)
      await system.start(service)
    })
  })
}
