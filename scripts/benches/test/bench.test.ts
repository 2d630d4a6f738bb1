// The harness itself: what is made of the figures, and that the smallest row runs from its command to the table.
import t from 'tap'
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { deletionScheduled } from '../../../contracts/events/claims.ts'
import { CONSUMERS } from '../../../contracts/streams.ts'
import { natsSeeds, startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { createCauseCheck } from '../../../services/common/causation.ts'
import { connectNats } from '../../../services/common/connect.ts'
import { decodeEvent } from '../../../services/common/envelope.ts'
import { atLeast, atMost } from '../bench.ts'
import { BENCHES } from '../benches.ts'
import { filled, historyOf, memberOf } from '../history.ts'
import { withTable } from '../report.ts'
import { median, quantile, shown, summarised, tableLine, TABLE_HEAD } from '../statistics.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

t.test('medians, quantiles and digits', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.ok(Number.isNaN(median([])))
  t.equal(quantile([5, 1, 4, 2, 3], 0.5), 3)
  t.equal(quantile([5, 1, 4, 2, 3], 0.99), 5)
  t.equal(quantile([7], 0.01), 7)
  t.same([0.1234, 12.34, 1234.5, NaN].map(shown), ['0.12', '12.3', '1,235', '–'])
})

t.test('a row is the median of its repetitions, and its ratio that of each to its own floor', async (t) => {
  const of = (value: number, floor: number) => [{ what: 'a call', unit: 'ms', value, floor: { what: 'bare', value: floor }, goal: atMost(4, 'ratio') }]
  const [row, ...others] = summarised([of(10, 5), of(30, 5), of(20, 1)])
  t.equal(others.length, 0)
  t.same(row?.figure, { median: 20, min: 10, max: 30 })
  t.same(row?.ratio, { median: 6, min: 2, max: 20 })
  t.equal(row?.goal?.isReached, false)
  t.equal(row && tableLine(row), '| a call | 20 (10–30) ms | 5 (1–5) ms: bare | 6 (2–20) | ≤ 4 × floor | **no** |')
})

t.test('a goal may be of the figure, and none is needed', async (t) => {
  const rows = summarised([[{ what: 'rate', unit: '1/s', value: 70, goal: atLeast(70) }, { what: 'size', unit: 'MB', value: 3 }]])
  t.same(rows.map(tableLine), ['| rate | 70 1/s |  |  | ≥ 70 1/s | yes |', '| size | 3 MB |  |  |  |  |'])
})

t.test('the page keeps what people wrote around the table', async (t) => {
  const page = 'before\n<!-- what scripts/bench --write measured -->\nold\n<!-- end -->\nafter\n'
  const measured = { name: 'size', at: '2026-01-02T03:04:05.678Z', node: 'v24', processors: '2 × x', loadBefore: 0.1, rows: summarised([[{ what: 'size', unit: 'MB', value: 3 }]]) }
  const made = withTable(page, [measured])
  t.match(made, /^before\n/)
  t.match(made, /after\n$/)
  t.match(made, TABLE_HEAD)
  t.match(made, '| size | 1 | 2026-01-02 03:04 | 0.10 |')
  t.notMatch(made, 'old')
  t.equal(withTable(made, [measured]), made, 'and is the same when it is made again')
  t.throws(() => withTable('nothing', []), /no place/)
})

t.test('every row has a name of its own', async (t) => {
  t.equal(new Set(BENCHES.map(({ name }) => name)).size, BENCHES.length)
})

t.test('a past that is made up is believed, and is over', async (t) => {
  const [storeDir, seeds] = [join(t.testdir(), 'nats'), natsSeeds()]
  t.equal(await filled(storeDir, seeds, 2, (member) => historyOf(member, Date.now() + 3_600_000)), 6)
  const nats = await startKlaimNats({ storeDir, seeds })
  t.teardown(() => nats.close())
  const connection = await connectNats(nats.access('operator'), 'operator')
  t.teardown(() => connection.close())
  const jsm = await jetstreamManager(connection)
  const newest = async (stream: string, subject: string) => await jsm.direct.getMessage(stream, { last_by_subj: subject })
  const message = await newest('CLAIMS', `claims.${memberOf(2)}.deletion_scheduled`)
  const decoded = message && decodeEvent([deletionScheduled], { subject: message.subject, headers: message.header, data: message.data })
  t.ok(decoded)
  if (decoded) await t.resolves(createCauseCheck(newest)(decoded.definition, decoded.event, 1))
  for (const { stream, name } of CONSUMERS) if (stream === 'MEMBERS') t.equal((await jsm.consumers.info(stream, name)).num_pending, 0, `${name} has decided on it`)
})

const run = (...args: string[]) => spawnSync(process.execPath, [join(ROOT, 'scripts/bench.ts'), ...args], { cwd: ROOT, encoding: 'utf8', timeout: 120_000 })

t.test('from the command to the table', async (t) => {
  const { status, stdout, stderr } = run('ledger', '--scale', '0.001')
  t.equal(status, 0, stderr)
  t.match(stdout, /^\| ledger, decisions appended \| [\d,.]+ 1\/s \| [\d,.]+ 1\/s: bare publish/m)
})

t.test('who calls it wrongly is told', async (t) => {
  t.equal(run('nonesuch').status, 64)
  t.equal(run('--repetitions', '0').status, 64)
  t.equal(run('--scale', '0.5', '--write').status, 64, 'what was only tried is not written down')
  t.match(run('--list').stdout, /^accepted /m)
})
