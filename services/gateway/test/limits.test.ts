import t, { type Test } from 'tap'
import { setTimeout as delay } from 'node:timers/promises'
import { limitsStream } from '../../../contracts/streams.ts'
import type { AppOptions } from '../app.ts'
import type { App } from '../gateway.ts'
import { WAIT_MS_MAX } from '../limit-store.ts'
import { addressOf } from '../limits.ts'
import { FORM, SECRET, startWorld } from './world.ts'

const world = await startWorld(t)
const { bot, nats } = world
t.beforeEach(() => { bot.asked.length = 0 })

/** A clock that stands: no window turns while a test counts. */
const now = () => new Date('2026-11-24T02:30:00.000Z')
/** What a busy machine may add to a time. */
const SLACK_MS = 400

type Config = Partial<AppOptions['config']>
const standing = async (t: Test, config: Config) => await world.app(t, config, { now })
/** Gateways that share what gateways share: the secret and NATS, each over its own connection. */
const replica = async (t: Test, config: Config) => await world.app(t, { INTERNAL_SECRET: SECRET, ...config }, { now, counters: (await world.bus(t)).counters(limitsStream) })

/** An attempt that goes no further than the limit by address. */
const wrong = { method: 'POST' as const, url: '/api/claim', payload: { ...FORM, wa_number_e164: 'wrong' } }
const from = (remoteAddress: string, forwarded?: string | string[]) => ({ ...wrong, remoteAddress, ...(forwarded === undefined ? {} : { headers: { 'x-forwarded-for': forwarded } }) })
async function statuses (asked: ReadonlyArray<readonly [App, object]>): Promise<number[]> {
  const seen: number[] = []
  for (const [app, request] of asked) seen.push((await app.inject(request)).statusCode)
  return seen
}
const ask = async (app: App, ...requests: object[]): Promise<number[]> => await statuses(requests.map((request) => [app, request]))
const attempt = (wa_number_e164: string, remoteAddress = '192.0.2.1') => ({ method: 'POST' as const, url: '/api/claim', payload: { ...FORM, wa_number_e164 }, remoteAddress })

/** Resolves when a gateway, asked from addresses that nobody counts, has heard from NATS again. */
async function share (app: Awaited<ReturnType<typeof replica>>): Promise<void> {
  const shared = async () => /klaim_limit_counts_total\{how="shared",service="gateway"\} (\d+)/.exec(await app.klaimMetrics.registry.metrics())?.[1]
  const before = await shared()
  for (let tries = 0; await shared() === before; tries++) {
    if (tries > 400) throw new Error('limits are not shared again')
    await app.inject(from(`203.0.113.${tries % 250}`))
    await delay(25)
  }
}

t.test('two gateways share a limit', async (t) => {
  const limits = { RATE_LIMIT_IP_PER_MINUTE: 3, RATE_LIMIT_JID_PER_MINUTE: 4, RATE_LIMIT_STATUS_PER_MINUTE: 2 }
  const [first, second] = [await replica(t, limits), await replica(t, limits)]
  const one = from('192.0.2.1')
  t.same(await statuses([[first, one], [second, one], [first, one], [second, one], [first, one]]), [400, 400, 400, 429, 429], 'by address')
  const tries = ['081200000001', '+62 812 0000 0001', '6281200000001', '0812-0000-0001', '081200000001'].map((number, index) => [index % 2 === 0 ? first : second, attempt(number, `198.51.100.${index}`)] as const)
  t.same(await statuses(tries), [202, 202, 202, 202, 429], 'by number, however it is written')
  t.equal(bot.asked.length, 4, 'before the bot is asked')
  const look = { url: '/api/claim/1b2f3c64-8c0e-4d36-9d6c-0d6f0a3b1c22/status', remoteAddress: '192.0.2.9' }
  t.same(await statuses([[first, look], [second, look], [first, look]]), [404, 404, 429], 'and for looks')
  const bus = await world.bus(t)
  const { state } = await bus.raw.jsm.streams.info('LIMITS', { subjects_filter: '>' })
  const subjects = Object.keys(state.subjects ?? {})
  t.ok(subjects.length >= 3)
  t.same(subjects.filter((subject) => !/^limits\.(attempts|numbers|looks)\.\d+\.[\w-]{22}$/.test(subject)), [], 'under names that tell no address and no number')
  t.match(await first.klaimMetrics.registry.metrics(), /klaim_limit_counts_total\{how="shared",service="gateway"\} [1-9]/)
})

t.test('a limit by address', async (t) => {
  const app = await standing(t, { RATE_LIMIT_IP_PER_MINUTE: 2 })
  const one = from('192.0.2.1')
  t.same(await ask(app, one, one, one, from('192.0.2.2')), [400, 400, 429, 400], 'holds for each address')
  t.same(await ask(app, { ...wrong, url: '/', remoteAddress: '192.0.2.1' }), [429], 'for the form and the API together')
  const networks = ['2001:db8:1:2::1', '2001:db8:1:2::2', '2001:DB8:1:2:ffff::3', '2001:db8:1:3::1', '2001:db8:0:2::1'].map((address) => from(address))
  t.same(await ask(app, ...networks), [400, 400, 429, 400, 400], 'takes an IPv6 network of 64 bits as one')
  t.same(await ask(app, from('::ffff:192.0.2.1')), [429], 'and IPv4 written as IPv6 as what it is')
  for (const forwarded of ['198.51.100.9', '198.51.100.9, 203.0.113.1', 'unknown', ['203.0.113.2', '203.0.113.3'], '"]!']) t.same(await ask(app, from('192.0.2.1', forwarded)), [429], `is not moved by X-Forwarded-For: ${String(forwarded)}`)
})

t.test('behind a proxy', async (t) => {
  const trusting = async (max: number) => await standing(t, { RATE_LIMIT_IP_PER_MINUTE: max, TRUST_PROXY: '10.0.0.0/8, 192.0.2.200, 2001:db8:ffff::/48' })
  const app = await trusting(1)
  t.same(await ask(app, from('10.1.2.3', '198.51.100.1'), from('10.1.2.3', '198.51.100.1'), from('192.0.2.200', '198.51.100.2'), from('2001:db8:ffff::7', '198.51.100.3')), [400, 429, 400, 400], "the client's address counts")
  t.same(await ask(app, ...['203.0.113.7, 198.51.100.1', '10.9.9.9, 203.0.113.8,198.51.100.1', 'rubbish, 198.51.100.1', '198.51.100.1, 10.0.0.9'].map((forwarded) => from('10.1.2.3', forwarded))), [429, 429, 429, 429],
    'as the nearest proxy saw it, whatever was written before it')
  t.same(await ask(app, from('10.1.2.3', ['203.0.113.9', '198.51.100.1'])), [429], 'in one header or in two')
  t.same(await ask(app, from('192.0.2.50', '198.51.100.3'), from('192.0.2.50', '198.51.100.4')), [400, 429], 'and from elsewhere the header is nothing')
  const garbage = ['unknown', '198.51.100.1:50001', '198.51.100.1:50002', '_hidden', '<script>', '999.1.1.1', '1.2.3.4.5'].map((forwarded) => from('10.1.2.3', forwarded))
  t.same(await ask(await trusting(2), ...garbage), [400, 400, 429, 429, 429, 429, 429], 'what is no address counts as the proxy, not each as somebody new')
  t.equal(addressOf({ ip: '198.51.100.1:443', socket: { remoteAddress: '10.1.2.3' } }), '10.1.2.3')
})

t.test('200 members behind one address', async (t) => {
  let clock = now().getTime()
  const app = await world.app(t, { RATE_LIMIT_IP_PER_MINUTE: 20, RATE_LIMIT_JID_PER_MINUTE: 5 }, { now: () => new Date(clock) })
  const began = clock
  let waiting = Array.from({ length: 200 }, (_, index) => ({ number: `0812${String(10_000_001 + index).padStart(8, '0')}`, at: clock }))
  const admitted: number[] = []
  while (waiting.length > 0 && clock - began < 20 * 60_000) {
    clock = Math.min(...waiting.map(({ at }) => at))
    let through = 0
    const later: typeof waiting = []
    for (const member of waiting) {
      if (member.at > clock) { later.push(member); continue }
      const answer = await app.inject(attempt(member.number, '203.0.113.77'))
      if (answer.statusCode === 202) { through++; continue }
      if (answer.statusCode !== 429) throw new Error(`member was answered ${answer.statusCode}`)
      later.push({ ...member, at: clock + Number(answer.headers['retry-after']) * 1_000 })
    }
    admitted.push(through)
    waiting = later
  }
  t.same(admitted, Array.from({ length: 10 }, () => 20), 'get through twenty a minute, each coming again when they were told to')
  t.ok(clock - began <= 10 * 60_000, `all of them within ten minutes (${(clock - began) / 60_000})`)
})

t.test('while NATS hangs or is away', async (t) => {
  const limits = { RATE_LIMIT_IP_PER_MINUTE: 4 }
  const [first, second] = [await replica(t, limits), await replica(t, limits)]
  const timed = async (app: App, request: object): Promise<[number, number]> => {
    const began = performance.now()
    return [(await app.inject(request)).statusCode, performance.now() - began]
  }
  const one = from('192.0.2.101')
  t.same(await statuses([[second, one], [first, one]]), [400, 400])

  await nats.kill('SIGSTOP')
  const [hung, afterIt] = [await timed(first, one), await timed(first, one)]
  t.same([hung[0], afterIt[0]], [400, 400], "a gateway goes on from its own count and what it last knew of the others'")
  t.ok(hung[1] < WAIT_MS_MAX + SLACK_MS, `the first request waits no longer than the bound (${Math.round(hung[1])} ms)`)
  t.ok(afterIt[1] < WAIT_MS_MAX, `and those after it do not wait (${Math.round(afterIt[1])} ms)`)
  t.same(await ask(first, one), [429], 'the limit holds')
  await nats.kill('SIGCONT')
  await share(first)
  t.same(await statuses([[first, one], [second, one]]), [429, 429], 'and the other gateway is told with the next count')

  await nats.kill('SIGKILL')
  const other = from('192.0.2.102')
  const away: Array<[number, number]> = []
  for (let tries = 0; tries < 5; tries++) away.push(await timed(first, other))
  t.same(away.map(([status]) => status), [400, 400, 400, 400, 429], 'also without a connection')
  t.ok(away.every(([, ms]) => ms < WAIT_MS_MAX + SLACK_MS), away.map(([, ms]) => Math.round(ms)).join(', '))
  const untold = from('192.0.2.103')
  t.same(await ask(first, untold, untold, untold), [400, 400, 400])
  t.ok(world.logLines.some((line) => /limits are counted by this gateway alone/.test(line)), 'which is logged')

  await nats.restart()
  await Promise.all([share(first), share(second)])
  t.same(await statuses([[first, other], [second, other]]), [429, 429], 'and nothing counted meanwhile is forgotten')
  t.same(await statuses([[first, untold], [second, untold]]), [400, 429])
  const last = from('192.0.2.104')
  t.same(await statuses([[first, last], [second, last], [first, last], [second, last], [first, last]]), [400, 400, 400, 400, 429], 'and they share again')
})
