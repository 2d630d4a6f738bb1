// What scripts/measure-sync runs once everything it needs is there.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { freePort, startNats, type Nats } from '../deploy/staging/nats/nats-server.ts'

// In quotes: without them nats-server 2.15.1 reads 2m as two million seconds.
const DEFAULT = '"2m"'
const POLICIES = ['always', '"10s"', DEFAULT]
const NODES = [1, 3]
const [WARM_UP, ONE_BY_ONE, MANY, IN_FLIGHT] = [200, 1_000, 4_000, 200]
const BODY = new Uint8Array(512)
const [TRIES_MAX, TRY_EVERY_MS] = [60, 500]

const { values } = parseArgs({ options: { times: { type: 'string', default: '5' }, kills: { type: 'string', default: '0' } } })
const [times, kills] = [Number(values.times), Number(values.kills)]
if (!Number.isInteger(times) || times < 1 || !Number.isInteger(kills) || kills < 0) {
  console.error('measure-sync: --times is a whole number above 0, --kills one from 0')
  process.exit(64)
}

async function withNodes<Result> (count: number, policy: string, work: (nodes: Nats[]) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'klaim-sync-'))
  const ports = await Promise.all(Array.from({ length: count }, () => freePort()))
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')
  const nodes = await Promise.all(ports.map(async (port, index) => {
    const configFile = join(directory, `${index}.conf`)
    const cluster = count === 1 ? '' : `server_name: node${index}\ncluster { name: measured, listen: "127.0.0.1:${port}", routes: [${routes}] }\n`
    writeFileSync(configFile, `jetstream { max_file_store: 4GB, sync_interval: ${policy} }\n${cluster}`)
    return await startNats({ configFile })
  }))
  try {
    return await work(nodes)
  } finally {
    await Promise.all(nodes.map(async (node) => { await node.close() }))
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A cluster takes a moment to choose who leads. */
async function patiently<Result> (ask: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask()
    } catch (error) {
      if (tries === TRIES_MAX) throw error
      await delay(TRY_EVERY_MS)
    }
  }
}

const opened = async (nodes: readonly Nats[]): Promise<NatsConnection> => await connect({ servers: nodes.map(({ url }) => url), maxReconnectAttempts: -1, reconnectTimeWait: 100 })

async function withStream (nodes: readonly Nats[]): Promise<NatsConnection> {
  const connection = await opened(nodes)
  await patiently(async () => await (await jetstreamManager(connection)).streams.add({ name: 'MEASURED', subjects: ['measured.>'], num_replicas: nodes.length }))
  return connection
}

/** Milliseconds of one publish (median and the 99th of a hundred), and acknowledged publishes in a second with 200 in flight. */
async function measured (nodes: readonly Nats[]): Promise<{ p50: number, p99: number, rate: number }> {
  const connection = await withStream(nodes)
  const js = jetstream(connection)
  for (let count = 0; count < WARM_UP; count++) await js.publish('measured.warm', BODY)
  const took: number[] = []
  for (let count = 0; count < ONE_BY_ONE; count++) {
    const before = performance.now()
    await js.publish('measured.one', BODY)
    took.push(performance.now() - before)
  }
  const before = performance.now()
  let next = 0
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (next++ < MANY) await js.publish('measured.many', BODY, { timeout: 30_000 })
  }))
  const rate = MANY / (performance.now() - before) * 1_000
  await connection.close()
  const sorted = took.toSorted((a, b) => a - b)
  return { p50: sorted[ONE_BY_ONE / 2] ?? NaN, p99: sorted[ONE_BY_ONE * 0.99] ?? NaN, rate }
}

/** Every node is killed while 50 publish without a pause; how many of the acknowledged are not there afterwards. */
async function lostByKill (nodes: readonly Nats[]): Promise<{ acknowledged: number, lost: number }> {
  const connection = await withStream(nodes)
  const js = jetstream(connection)
  const sequences: number[] = []
  let isOver = false
  const work = Promise.all(Array.from({ length: 50 }, async () => {
    while (!isOver) await js.publish('measured.killed', BODY, { timeout: 2_000 }).then(({ seq }) => { sequences.push(seq) }, () => undefined)
  }))
  await delay(1_500)
  isOver = true
  await Promise.all(nodes.map(async (node) => { await node.kill('SIGKILL') }))
  await Promise.race([work, delay(4_000)])
  await connection.close()
  await Promise.all(nodes.map(async (node) => { await node.restart() }))
  const again = await opened(nodes)
  const { state } = await patiently(async () => await (await jetstreamManager(again)).streams.info('MEASURED'))
  await again.close()
  return { acknowledged: sequences.length, lost: sequences.filter((sequence) => sequence > state.last_seq).length }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN
const ranged = (numbers: readonly number[], digits: number): string => `${median(numbers).toFixed(digits)} (${Math.min(...numbers).toFixed(digits)}–${Math.max(...numbers).toFixed(digits)})`

console.log(`${ONE_BY_ONE} publishes of ${BODY.length} B one by one, then ${MANY} with ${IN_FLIGHT} in flight; ${times} times, medians and ranges\n`)
console.log('| nodes | sync_interval | one publish, ms | 99 of 100 within, ms | with many in flight, 1/s | time of one, × default |\n|---|---|---|---|---|---|')
for (const count of NODES) {
  const runs = new Map(POLICIES.map((policy) => [policy, [] as Array<Awaited<ReturnType<typeof measured>>>]))
  // In turn, so that a slow minute of the machine meets all of them.
  for (let time = 0; time < times; time++) for (const [policy, all] of runs) all.push(await withNodes(count, policy, measured))
  const base = median((runs.get(DEFAULT) ?? []).map(({ p50 }) => p50))
  for (const [policy, all] of runs) {
    const p50 = all.map((run) => run.p50)
    console.log(`| ${count} | ${policy} | ${ranged(p50, 2)} | ${ranged(all.map(({ p99 }) => p99), 2)} | ${ranged(all.map(({ rate }) => rate), 0)} | ${(median(p50) / base).toFixed(2)} |`)
  }
}
for (const count of kills > 0 ? NODES : []) {
  for (const policy of POLICIES) {
    for (let time = 0; time < kills; time++) {
      const { acknowledged, lost } = await withNodes(count, policy, lostByKill)
      console.log(`every one of ${count} killed, ${policy}: ${acknowledged} acknowledged, ${lost} lost`)
      if (lost > 0) process.exitCode = 1
    }
  }
}
