// From a form to 202, while the roster is warm and the provisioner is busy with those who came before.
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { secretOf } from '../../deploy/secrets/catalogue.ts'
import { openDirectory } from '../../deploy/secrets/directory.ts'
import type { System } from '../../deploy/staging/system.ts'
import { connectNats } from '../../services/common/connect.ts'
import { createMembership } from '../../services/common/membership.ts'
import { waJidOf } from '../../services/test/crowd.ts'
import { atMost, type Bench, type Figure } from './bench.ts'
import { atRate, visitorsOf, withSystem } from './crowd.ts'
import { processorsOf, since } from './service-process.ts'
import { quantile } from './statistics.ts'

const PER_SECOND = 200
const CLAIMS = PER_SECOND * 30
/** Five seconds: a service that has been running. */
const WARM_UP = PER_SECOND * 5
const FLOOR = 2_000
const BODY = new Uint8Array(512)

/** One membership check, one NATS request, one publish that is on the disk, at the same rate. */
async function floorOf (system: System, count: number): Promise<number[]> {
  const connection = await connectNats(system.nats.access('operator'), 'operator')
  const answerer = await connectNats(system.nats.access('operator'), 'operator')
  const membership = createMembership(system.botUrl, openDirectory(system.secretsDirectory).text(secretOf('INTERNAL_SECRET').file))
  try {
    await (await jetstreamManager(connection)).streams.add({ name: 'BENCH', subjects: ['bench.>'] })
    const js = jetstream(connection)
    answerer.subscribe('asked', { callback: (_, message) => { message.respond(BODY) } })
    await answerer.flush()
    const one = async (n: number): Promise<void> => {
      await membership.check(waJidOf(n % count + 1))
      await connection.request('asked', BODY, { timeout: 5_000 })
      await js.publish('bench.floor', BODY)
    }
    await atRate(WARM_UP, PER_SECOND, one)
    return await atRate(count, PER_SECOND, one)
  } finally {
    await membership.close()
    await Promise.all([connection.close(), answerer.close()])
  }
}

export const accepted: Bench = {
  name: 'accepted', summary: 'POST /api/claim → 202 at 200 a second for 30 s',
  run: async ({ directory, some }) => await withSystem({ directory, members: some(CLAIMS) + WARM_UP }, async (system) => {
    const floor = await floorOf(system, some(FLOOR))
    const visitors = visitorsOf(system)
    try {
      const cold = await atRate(WARM_UP, PER_SECOND, async (n) => { await visitors.claim(some(CLAIMS) + n + 1) })
      const before = processorsOf(system)
      const took = await atRate(some(CLAIMS), PER_SECOND, async (n) => { await visitors.claim(n + 1) })
      const used = [...since(before, processorsOf(system))].map(([name, ms]) => ({ name, ms: ms / some(CLAIMS) }))
      return [
        { what: 'claim accepted at 200/s, p50', unit: 'ms', value: quantile(took, 0.5), floor: { what: 'check, request and publish', value: quantile(floor, 0.5) }, goal: atMost(4, 'ratio') },
        { what: 'claim accepted at 200/s, p99', unit: 'ms', value: quantile(took, 0.99), floor: { what: 'check, request and publish', value: quantile(floor, 0.99) }, goal: atMost(50) },
        { what: 'the same in the first five seconds after a start, p99', unit: 'ms', value: quantile(cold, 0.99) },
        { what: 'processor for a claim accepted at 200/s, all in', unit: 'ms', value: used.reduce((sum, { ms }) => sum + ms, 0) },
        ...used.map(({ name, ms }): Figure => ({ what: `processor for a claim accepted at 200/s, ${name}`, unit: 'ms', value: ms })),
      ]
    } finally {
      await visitors.close()
    }
  }),
}
