// A node of NATS is lost while people claim: whatever is told to them meanwhile, what was accepted becomes a server, once.
import t from 'tap'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { CONSUMERS, STORED } from '../../contracts/streams.ts'
import type { Nats } from '../../deploy/staging/nats/nats-server.ts'
import { startSystem, type System } from '../../deploy/staging/system.ts'
import { chats, loginsIn, numberOf, withStreams } from './crowd.ts'
import { actor, panelState, until } from './journey.ts'

const CLAIM_EVERY_MS = 1_000
const AGAIN_MS = 1_000
const MEMBERS_MAX = 200

interface Answers {
  readonly accepted: Map<number, string>
  /** What was answered instead of 202, of every try. */
  readonly others: string[]
  /** From the first press to 202, with every try in between. */
  longestMs: number
  /** The longest that one request was without an answer. */
  slowestMs: number
}

/** People who claim, one after another, and press again until they are let in. */
function startClaiming (system: System) {
  const answers: Answers = { accepted: new Map(), others: [], longestMs: 0, slowestMs: 0 }
  const underWay = new Set<Promise<void>>()
  let [next, isOver] = [1, false]

  async function claim (member: number): Promise<void> {
    const key = randomUUID()
    for (const began = Date.now(); ; await delay(AGAIN_MS)) {
      const asked = Date.now()
      const said = await actor(system, numberOf(member)).claim({ 'idempotency-key': key }).catch((error: unknown) => String(error))
      answers.slowestMs = Math.max(answers.slowestMs, Date.now() - asked)
      if (typeof said === 'object' && said.status === 202) {
        answers.accepted.set(member, said.body.claim_id)
        answers.longestMs = Math.max(answers.longestMs, Date.now() - began)
        return
      }
      answers.others.push(typeof said === 'string' ? said : `${said.status} ${said.body.error?.code}${said.status === 503 && said.retryAfter === null ? ' without Retry-After' : ''}`)
    }
  }

  const running = (async () => {
    for (; !isOver && next <= MEMBERS_MAX; await delay(CLAIM_EVERY_MS)) {
      const work = claim(next++).finally(() => underWay.delete(work))
      underWay.add(work)
    }
  })()
  return {
    answers,
    /** Of what was answered since the last call. */
    told: () => {
      const told = { accepted: answers.accepted.size, others: [...answers.others], longestMs: answers.longestMs, slowestMs: answers.slowestMs }
      Object.assign(answers, { longestMs: 0, slowestMs: 0 })
      answers.others.length = 0
      return told
    },
    stop: async () => {
      isOver = true
      await running
      await Promise.all(underWay)
    },
  }
}

const directory = mkdtempSync(join(tmpdir(), 'klaim-cluster-'))
const system = await startSystem({
  directory, members: MEMBERS_MAX, natsReplicas: 3,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100', PANEL_DOUBLE_RATE_LIMIT: '100000', PANEL_DOUBLE_PORTS_PER_NODE: String(MEMBERS_MAX) },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '100000', RATE_LIMIT_JID_PER_MINUTE: '100000', RATE_LIMIT_STATUS_PER_MINUTE: '100000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' },
    bot: { SEND_GAP_MS: '20', LOOKUPS_PER_MINUTE: '1000' },
    all: { LOG_LEVEL: 'info' },
  },
})
t.teardown(() => system.close())
const claiming = startClaiming(system)
const { accepted } = claiming.answers

const leaderOf = async (stream: string): Promise<{ name: string, node: Nats }> => {
  const name = await until(`${stream} has a leader`, async () => await withStreams(system, async (jsm) => (await jsm.streams.info(stream)).cluster?.leader), { waitMs: 30_000 })
  return { name, node: system.nats.nodes.get(name) as Nats }
}

/** Each node holds all of every stream and consumer. */
async function whole (): Promise<void> {
  const isWhole = (cluster: { leader?: string, replicas?: Array<{ current: boolean }> } | undefined): boolean => cluster?.leader !== undefined && (cluster.replicas ?? []).length === 2 && (cluster.replicas ?? []).every(({ current }) => current)
  await until('every copy is whole', async () => await withStreams(system, async (jsm) => {
    const parts = await Promise.all([...STORED.map(async (name) => await jsm.streams.info(name)), ...CONSUMERS.map(async ({ stream, name }) => await jsm.consumers.info(stream, name))])
    return parts.every(({ cluster }) => isWhole(cluster)) ? true : undefined
  }), { everyMs: 250 })
}

/** Resolves when this many more people were let in. */
async function moreAccepted (count: number): Promise<void> {
  const goal = accepted.size + count
  await until(`${count} more are let in`, async () => accepted.size >= goal ? true : undefined)
}

/** What people were told meanwhile, and how long the one waited who waited longest. */
async function during (what: string, waitMsMax: number, disturb: () => Promise<void>): Promise<void> {
  await t.test(what, async (t) => {
    await moreAccepted(1)
    claiming.told()
    const began = Date.now()
    await disturb()
    await moreAccepted(2)
    const { others, longestMs, slowestMs } = claiming.told()
    t.comment(`${Date.now() - began} ms, not 202: ${others.length}${others.length === 0 ? '' : ` (${[...new Set(others)].join(', ')})`}, longest until 202: ${longestMs} ms, longest without an answer: ${slowestMs} ms`)
    t.same(others.filter((said) => !/^503 (UNAVAILABLE|BOT_OFFLINE)$/.test(said)), [], 'who is not let in is told when to come again')
    t.ok(longestMs <= waitMsMax, `and nobody waits longer than ${waitMsMax} ms`)
  })
}

await whole()
await during('the leader is killed, and comes back with an empty disk', 30_000, async () => {
  const { node } = await leaderOf('CLAIMS')
  await node.kill('SIGKILL')
  await moreAccepted(3)
  rmSync(node.storeDir, { recursive: true })
  await node.restart()
  await whole()
})
await during('the leader hangs', 30_000, async () => {
  const { node } = await leaderOf('CLAIMS')
  await node.kill('SIGSTOP')
  await moreAccepted(3)
  await node.kill('SIGCONT')
  await whole()
})
await during('every node is restarted, one after another', 30_000, async () => {
  for (const node of system.nats.nodes.values()) {
    await node.restart()
    await whole()
  }
})
await during('two of three are lost', 60_000, async () => {
  const { name } = await leaderOf('CLAIMS')
  const lost = [...system.nats.nodes].filter(([each]) => each !== name).map(([, node]) => node)
  await Promise.all(lost.map(async (node) => { await node.kill('SIGKILL') }))
  await until('somebody is told that nothing goes', async () => claiming.answers.others.length > 0 ? true : undefined)
  await Promise.all(lost.map(async (node) => { await node.restart() }))
  await whole()
})

t.test('what was accepted is there, once', async (t) => {
  await claiming.stop()
  const ids = [...accepted.values()].toSorted()
  t.comment(`${ids.length} claims`)
  await until('every claim is active', async () => {
    const states = await Promise.all(ids.map(async (id) => (await actor(system, '').progress(id)).status))
    return states.every((status) => status === 'active') ? true : undefined
  }, { everyMs: 1_000 })
  const { servers, serverCreates } = await panelState(system)
  t.same(servers.map(({ externalId }) => externalId ?? '').toSorted(), ids, 'each claim has its server, and there are no others')
  t.ok(servers.every(({ listens }) => listens), 'which answers')
  t.equal(serverCreates, ids.length, 'and was made once')
  const people = [...accepted.keys()].map(numberOf)
  await until('every login is sent', async () => {
    const seen = await chats(system)
    return people.every((number) => loginsIn(seen.get(number) ?? []).length > 0) ? true : undefined
  })
  const seen = await chats(system)
  t.same(people.filter((number) => loginsIn(seen.get(number) ?? []).length !== 1), [], 'its login came once')
})
