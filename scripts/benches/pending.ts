// Delayed deletions by the hundred thousand: scheduled, cancelled, fired one by one and ten thousand in a second, and there again after a restart. claim-store and reaper as processes; a bot that finds everybody absent.
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { CHECK_MEMBER_PATH } from '../../contracts/http.ts'
import { memberJoined } from '../../contracts/events/members.ts'
import { natsSeeds, startKlaimNats, type KlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { placesOf } from '../../services/claim-store/book-file.ts'
import { createBus } from '../../services/common/bus.ts'
import { connectNats } from '../../services/common/connect.ts'
import { createLog } from '../../services/common/log.ts'
import { createMetrics } from '../../services/common/metrics.ts'
import { pagesOf } from '../../services/common/page.ts'
import { waJidOf } from '../../services/test/crowd.ts'
import { until } from '../../services/test/journey.ts'
import { atMost, type Bench, type Figure } from './bench.ts'
import { inFlight } from './crowd.ts'
import { filled, historyOf, LEDGER_KEY, MEMBER_ID_KEY, memberOf } from './history.ts'
import { startService, type ServiceProcess } from './service-process.ts'
import { quantile } from './statistics.ts'

const MANY = 100_000
const BURST = 10_000
const SPARSE = 50
const SPARSE_EVERY_MS = 500
const CANCELLED = 2_000
const PER_MINUTE = 1_000
const HOURS_4 = 4 * 3_600_000
const SECRET = 'an-internal-secret-for-benches-only-of-40'
const WAIT = { everyMs: 250, waitMs: 15 * 60_000 }

/** Its answers say that nobody is in the group. */
async function startAbsence (): Promise<{ url: string, close: () => void }> {
  const server = createServer((request, response) => {
    void request.resume().on('end', () => {
      response.writeHead(request.url === CHECK_MEMBER_PATH ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ membership: 'absent', wa_jid: waJidOf(1), member_id: memberOf(1), seen_at: new Date().toISOString() }))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => { server.closeAllConnections(); server.close() } }
}

interface Word { readonly job: string, readonly at: number, readonly dueAt: number }

interface World {
  readonly nats: KlaimNats
  /** claim-store first, then the reaper: both together take so long to be ready. */
  readonly start: () => Promise<{ readyMs: number, stop: () => Promise<void> }>
  /** How many subjects of DELETIONS there are: until the first is due or cancelled, as many as are scheduled. Asked by name, 100,000 would be a list of megabytes each time. */
  readonly scheduled: () => Promise<number>
  /** How many there are of these. */
  readonly count: (subjects: string) => Promise<number>
  /** When each was stored, and what it says, of these subjects; at the next call what came since. */
  readonly hearing: (subjects: string) => () => Promise<Word[]>
}

async function world (directory: string, members: number, dueAt: (member: number) => number, work: (world: World) => Promise<void>): Promise<void> {
  mkdirSync(join(directory, 'book'), { recursive: true, mode: 0o700 })
  const seeds = natsSeeds()
  await filled(join(directory, 'nats'), seeds, members, (member) => historyOf(member, dueAt(member)))
  const nats = await startKlaimNats({ storeDir: join(directory, 'nats'), seeds })
  const absence = await startAbsence()
  const book = join(directory, 'book', 'claims.json')
  writeFileSync(placesOf(book).wish, 'sqlite\n')
  const running = new Set<ServiceProcess>()
  const connection = await connectNats(nats.access('operator'), 'operator')
  const jsm = await jetstreamManager(connection)
  const stop = async (): Promise<void> => {
    await Promise.all([...running].map(async (service) => { await service.stop() }))
    running.clear()
  }
  try {
    await work({
      nats,
      start: async () => {
        const began = performance.now()
        const services = await Promise.all([
          startService('claim-store', { ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS: LEDGER_KEY, BOOK_FILE: book, GRACE_MS: String(HOURS_4) }, directory),
          startService('reaper', { ...nats.env('reaper'), BOT_URL: absence.url, INTERNAL_SECRET: SECRET, GRACE_MS: String(HOURS_4), DELETIONS_PER_MINUTE: String(PER_MINUTE), BRAKE_DEPARTURES_MIN: '10000' }, directory),
        ])
        for (const service of services) running.add(service)
        return { readyMs: performance.now() - began, stop }
      },
      count: async (subjects) => {
        const { state } = await jsm.streams.info('DELETIONS', { subjects_filter: subjects })
        return Object.keys(state.subjects ?? {}).length
      },
      scheduled: async () => (await jsm.streams.info('DELETIONS')).state.num_subjects ?? 0,
      hearing: (subjects) => {
        let from = 1
        return async () => {
          const { messages } = await pagesOf(jsm, 'DELETIONS', { from, filter: subjects, size: 1_000, max: 1_000_000 })
          from = (messages.at(-1)?.seq ?? from - 1) + 1
          return messages.map((message) => {
            const { delete_job_id: job, due_at: due } = message.json<{ delete_job_id: string, due_at: string }>()
            return { job, at: message.time.getTime(), dueAt: Date.parse(due) }
          })
        }
      },
    })
  } finally {
    await stop()
    absence.close()
    await connection.close()
    await nats.close()
  }
}

/** The first word about each job, once there is one about so many of them. */
function firstOf (hear: () => Promise<Word[]>): (count: number) => Promise<Word[] | undefined> {
  const first = new Map<string, Word>()
  return async (count) => {
    for (const word of await hear()) if (word.at < (first.get(word.job)?.at ?? Infinity)) first.set(word.job, word)
    return first.size === count ? [...first.values()] : undefined
  }
}

/** NATS's scheduler by itself: schedules taken a second, and how late they fire, in milliseconds. */
async function schedulerAlone (count: number, dueInMs: (n: number) => number): Promise<{ rate: number, lateMs: number[] }> {
  const nats = await startKlaimNats()
  const connection = await connectNats(nats.access('operator'), 'operator')
  const [js, jsm] = [jetstream(connection), await jetstreamManager(connection)]
  const began = performance.now()
  const due = new Map<string, number>()
  await inFlight(count, 64, async (n) => {
    const at = new Date(Date.now() + dueInMs(n))
    due.set(`job-${n}`, at.getTime())
    await js.publish(`deletions.pending.job-${n}`, '{}', { schedule: { specification: at, target: `deletions.due.job-${n}`, ttl: '3600s' } })
  })
  const rate = count / (performance.now() - began) * 1_000
  const last = Math.max(...due.values())
  let lateMs: number[] = []
  if (last - Date.now() < 10 * 60_000) {
    await until('all schedules have fired', async () => {
      const { messages } = await pagesOf(jsm, 'DELETIONS', { from: 1, filter: 'deletions.due.*', size: 1_000, max: 1_000_000 })
      lateMs = messages.map(({ subject, time }) => time.getTime() - (due.get(subject.split('.')[2] ?? '') ?? NaN))
      return messages.length >= count ? true : undefined
    }, WAIT)
  }
  await connection.close()
  await nats.close()
  return { rate, lateMs }
}

export const pending: Bench = {
  name: 'pending', summary: '100,000 pending deletions: scheduled, cancelled, fired, restarted', isSlow: true,
  run: async ({ directory, some, say }) => {
    const figures: Figure[] = []
    const [many, burst, cancelled, sparse] = [some(MANY), some(BURST), some(CANCELLED), some(SPARSE)]

    say('one by one')
    let [begins, lateMs] = [0, [] as number[]]
    const soon = (after: number) => (member: number): number => begins + after + member * SPARSE_EVERY_MS
    begins = Date.now() + 20_000
    await world(join(directory, 'sparse'), sparse, soon(0), async ({ start, hearing }) => {
      await start()
      const first = firstOf(hearing('deletions.confirmed.*'))
      const words = await until('each is judged', async () => await first(sparse), WAIT)
      lateMs = words.map(({ at, dueAt }) => at - dueAt)
    })
    const alone = await schedulerAlone(sparse, (n) => 2_000 + n * SPARSE_EVERY_MS)
    figures.push({ what: 'pending deletions, one every 0.5 s: due to confirmed, p99', unit: 'ms', value: quantile(lateMs, 0.99), floor: { what: 'NATS’s scheduler alone', value: quantile(alone.lateMs, 0.99) }, goal: atMost(1_000) })

    say('many in one second')
    const dueAt = Date.now() + 60_000 + burst * 8
    await world(join(directory, 'burst'), burst, () => dueAt, async ({ start, hearing, scheduled }) => {
      await start()
      const isInTime = await until('all are scheduled', async () => Date.now() > dueAt ? false : await scheduled() === burst ? true : undefined, WAIT)
      if (!isInTime) throw new Error('the machine is too slow: deletions were due before all were scheduled')
      const [confirmed, postponed] = [hearing('deletions.confirmed.*'), hearing('deletions.postponed.*')]
      const deleted: Word[] = []
      const first = firstOf(async () => {
        const words = await confirmed()
        deleted.push(...words)
        return [...words, ...await postponed()]
      })
      const judged = await until('all are judged', async () => await first(burst), WAIT)
      const minutes = Map.groupBy(deleted, ({ at }) => Math.floor((at - dueAt) / 60_000))
      figures.push(
        { what: '10,000 deletions due in one second: until each has its verdict', unit: 's', value: (Math.max(...judged.map(({ at }) => at)) - dueAt) / 1_000 },
        { what: '10,000 deletions due in one second: confirmed in the busiest minute, of 1,000 that the pace allows', unit: '1/min', value: Math.max(...[...minutes.values()].map(({ length }) => length)), goal: atMost(PER_MINUTE) },
      )
    })

    say('many pending')
    const later = Date.now() + HOURS_4
    await world(join(directory, 'many'), many, () => later, async ({ nats, start, count, scheduled }) => {
      const first = await start()
      const scheduledOf = async (): Promise<{ at: number, done: number }> => ({ at: performance.now(), done: await scheduled() })
      const from = await scheduledOf()
      const to = await until('all are scheduled', async () => {
        const now = await scheduledOf()
        return now.done === many ? now : undefined
      }, WAIT)
      const bare = await schedulerAlone(Math.min(many, 20_000), () => HOURS_4)
      figures.push({ what: 'pending deletions, scheduled from the ledger', unit: '1/s', value: (to.done - from.done) / (to.at - from.at) * 1_000, floor: { what: 'NATS’s scheduler alone', value: bare.rate } })

      const bot = await createBus({ ...nats.playing('bot'), log: createLog('bot', 'fatal', () => {}), metrics: createMetrics('bot'), now: () => new Date() })
      const began = performance.now()
      await inFlight(cancelled, 16, async (n) => {
        await bot.publish(memberJoined, { key: `bench-${n}`, data: { member_id: memberOf(n + 1), wa_jid: waJidOf(n + 1), group_id: '120363000000000001@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' } })
      })
      await until('all are cancelled', async () => await count('deletions.unscheduled.*') === cancelled ? true : undefined, WAIT)
      if (await count('deletions.pending.*') !== many - cancelled) throw new Error('other schedules ended than those that were cancelled')
      figures.push({ what: 'pending deletions cancelled, from the return to the schedule’s end', unit: '1/s', value: cancelled / (performance.now() - began) * 1_000 })
      await bot.close()

      await first.stop()
      const stopped = performance.now()
      await nats.restart()
      const { readyMs } = await start()
      figures.push({ what: 'restart of NATS, claim-store and reaper with 100,000 pending', unit: 's', value: (performance.now() - stopped) / 1_000, floor: { what: 'of which claim-store and reaper', value: readyMs / 1_000 }, goal: atMost(5) })
    })
    return figures
  },
}
