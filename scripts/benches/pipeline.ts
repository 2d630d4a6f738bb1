// What Klaim itself adds to a claim: from 202 to active, without what the panel took to answer, without the time until the panel showed the server as installed,
// and without the time for which the health check keeps its connection.
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AckPolicy, jetstream, jetstreamManager, type ConsumerMessages } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import type { System } from '../../deploy/staging/system.ts'
import { connectNats } from '../../services/common/connect.ts'
import { pagesOf } from '../../services/common/page.ts'
import { KEPT_MS } from '../../services/provisioner/health-check.ts'
import { waJidOf, withStreams } from '../../services/test/crowd.ts'
import { until } from '../../services/test/journey.ts'
import { atMost, type Bench, type Figure } from './bench.ts'
import { atRate, visitorsOf, withSystem } from './crowd.ts'
import { quantile } from './statistics.ts'

const RATES = [{ perMinute: 50, claims: 25 }, { perMinute: 600, claims: 200 }] as const
const HOPS = 5
const WARM_UP = 20
const BODY = JSON.stringify({ of: 'the size of an event', filler: 'x'.repeat(400) })

interface Item { readonly attributes: { readonly external_id: string | null, readonly status: string | null } }

export interface PanelTimes {
  readonly url: string
  /** Milliseconds that the panel took over a claim's calls, by the external id of account and server. */
  readonly took: ReadonlyMap<string, number>
  /** Epoch milliseconds when a list first showed a server as installed, by claim. */
  readonly installedAt: ReadonlyMap<string, number>
  close (): void
}

/** Stands in front of the panel and looks at the clock. What it takes itself is not Klaim's, either, and goes with what the panel took. */
export async function timed (panelUrl: string): Promise<PanelTimes> {
  const [took, installedAt] = [new Map<string, number>(), new Map<string, number>()]
  const read = async (stream: IncomingMessage): Promise<Buffer> => Buffer.concat(await stream.toArray() as Buffer[])
  const server = createServer((asked, answered) => {
    void (async () => {
      const from = performance.now()
      const body = await read(asked)
      const onward = httpRequest(new URL(asked.url ?? '/', panelUrl), { method: asked.method, headers: { ...asked.headers, host: new URL(panelUrl).host } })
      onward.end(body)
      const [answer] = await once(onward, 'response') as [IncomingMessage]
      const text = await read(answer)
      answered.writeHead(answer.statusCode ?? 502, answer.headers).end(text)
      const ms = performance.now() - from
      if (asked.method === 'POST') {
        const { external_id: id } = JSON.parse(body.toString()) as { external_id?: string }
        if (id !== undefined) took.set(id, (took.get(id) ?? 0) + ms)
      } else if (asked.method === 'GET' && /\/servers[?/]/.test(asked.url ?? '')) {
        const { data, ...one } = JSON.parse(text.toString()) as { data?: Item[] } & Item
        for (const { attributes: { external_id: id, status } } of data ?? [one]) if (id !== null && status === null && !installedAt.has(id)) installedAt.set(id, Date.now())
      }
    })().catch(() => { answered.destroy() })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, took, installedAt, close: () => { server.closeAllConnections(); server.close() } }
}

/** Five publishes that are on the disk, each by who has consumed the one before; milliseconds for all five. */
async function hops (system: System, count: number, perSecond: number): Promise<number[]> {
  const connection = await connectNats(system.nats.access('operator'), 'operator')
  const jsm = await jetstreamManager(connection)
  const js = jetstream(connection)
  await jsm.streams.add({ name: 'BENCH', subjects: ['bench.*'] })
  const ends = new Map<string, () => void>()
  const readers: ConsumerMessages[] = []
  const inHand = new Set<Promise<void>>()
  for (let hop = 1; hop <= HOPS; hop++) {
    await jsm.consumers.add('BENCH', { durable_name: `hop${hop}`, filter_subject: `bench.${hop}`, ack_policy: AckPolicy.Explicit })
    const messages = await (await js.consumers.get('BENCH', `hop${hop}`)).consume()
    readers.push(messages)
    void (async () => {
      for await (const message of messages) {
        const work = (async () => {
          if (hop < HOPS) await js.publish(`bench.${hop + 1}`, message.data, { msgID: `${message.headers?.get('n')}:${hop}`, headers: message.headers ?? undefined as never })
          else ends.get(message.headers?.get('n') ?? '')?.()
          await message.ackAck()
        })().finally(() => inHand.delete(work))
        inHand.add(work)
      }
    })()
  }
  const took = await atRate(count, perSecond, async (n) => {
    const head = headers()
    head.set('n', String(n))
    const ended = new Promise<void>((resolve) => { ends.set(String(n), resolve) })
    await js.publish('bench.1', BODY, { msgID: `${n}:0`, headers: head })
    await ended
  })
  await Promise.all(inHand)
  for (const messages of readers) await messages.close()
  await jsm.streams.delete('BENCH')
  await connection.close()
  return took
}

/** When messages of a stream were stored, epoch ms, by claim and by the last word of their subject and, where there is one, their step. */
async function storedAt (system: System, stream: string): Promise<Map<string, number>> {
  return await withStreams(system, async (jsm) => {
    const { messages } = await pagesOf(jsm, stream, { from: 1, size: 500, max: 100_000 })
    return new Map(messages.map((message) => {
      const { claim_id: claimId, step = '' } = message.json<{ claim_id: string, step?: string }>()
      return [`${claimId} ${message.subject.split('.').at(-1)} ${step}`.trim(), message.time.getTime()]
    }))
  })
}

/** The panel's own limit is what the spike measures; here it is out of the way, and installs end at once. They are then looked at every 250 ms instead of 3 s. */
export const QUICK_PANEL = { PANEL_DOUBLE_RATE_LIMIT: '100000', PANEL_DOUBLE_LATENCY_MS: '0', PANEL_DOUBLE_PASSWORD_HASH_MS: '0', PANEL_DOUBLE_INSTALL_DELAY_MS: '0', PANEL_DOUBLE_START_DELAY_MS: '0' }

export async function overheads (directory: string, perMinute: number, claims: number): Promise<{ floor: number[], added: number[], noticed: number[] }> {
  const port = await freePort()
  const panel = await timed(`http://127.0.0.1:${port}`)
  try {
    return await withSystem({
      directory, members: claims + WARM_UP, ports: { panel: port },
      env: { panel: QUICK_PANEL, provisioner: { PANEL_URL: panel.url } },
    }, async (system) => {
      const floor = await hops(system, claims, perMinute / 60)
      const visitors = visitorsOf(system)
      const acceptedAt = new Map<string, number>()
      const claim = async (member: number): Promise<string> => {
        const claimId = await visitors.claim(member)
        acceptedAt.set(claimId, Date.now())
        return claimId
      }
      const active = async (claimIds: ReadonlySet<string>): Promise<Map<string, number>> => await until('every claim is active', async () => {
        const times = await storedAt(system, 'CLAIMS')
        return [...claimIds].every((claimId) => times.has(`${claimId} activated`)) ? times : undefined
      }, { everyMs: 1_000 })
      const warm = new Set<string>()
      await atRate(WARM_UP, 10, async (n) => { warm.add(await claim(claims + n + 1)) })
      await active(warm)
      const members = new Map<string, number>()
      await atRate(claims, perMinute / 60, async (n) => { members.set(await claim(n + 1), n + 1) })
      const decided = await active(new Set(members.keys()))
      const done = await storedAt(system, 'SERVERS')
      await visitors.close()
      const at = (times: ReadonlyMap<string, number>, key: string): number => times.get(key) ?? NaN
      const of = [...members].map(([claimId, member]) => {
        const waited = at(panel.installedAt, claimId) - at(done, `${claimId} progressed install`)
        return { waited, added: at(decided, `${claimId} activated`) - at(acceptedAt, claimId) - at(panel.took, waJidOf(member)) - at(panel.took, claimId) - waited - KEPT_MS }
      })
      if (of.some(({ added }) => Number.isNaN(added))) throw new Error('the way of a claim is not known')
      return { floor, added: of.map(({ added }) => added), noticed: of.map(({ waited }) => waited) }
    })
  } finally {
    panel.close()
  }
}

export const pipeline: Bench = {
  name: 'pipeline', summary: '202 → active without the panel and the install, at 50 and 600 claims a minute',
  run: async ({ directory, some }) => {
    const figures: Figure[] = []
    for (const { perMinute, claims } of RATES) {
      const { floor, added, noticed } = await overheads(`${directory}/${perMinute}`, perMinute, some(claims))
      figures.push(
        { what: `pipeline overhead at ${perMinute}/min, p50`, unit: 'ms', value: quantile(added, 0.5), floor: { what: 'five hops', value: quantile(floor, 0.5) } },
        { what: `pipeline overhead at ${perMinute}/min, p95`, unit: 'ms', value: quantile(added, 0.95), floor: { what: 'five hops', value: quantile(floor, 0.95) }, goal: atMost(5, 'ratio') },
        { what: `until a finished install is noticed at ${perMinute}/min, p95 (one list for all)`, unit: 's', value: quantile(noticed, 0.95) / 1_000 },
      )
    }
    return figures
  },
}
