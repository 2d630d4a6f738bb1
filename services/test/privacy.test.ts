import t from 'tap'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EVENTS } from '../../contracts/catalog.ts'
import { BUCKETS, CONSUMERS, STREAMS } from '../../contracts/streams.ts'
import { claimErased } from '../../contracts/events/claims.ts'
import { intentOf } from '../bot/conversation.ts'
import { Config } from '../claim-store/config.ts'

const privacy = readFileSync(join(resolve(import.meta.dirname, '../..'), 'PRIVACY.md'), 'utf8')

/** Name → its row of the table of streams and buckets. */
const rows = new Map([...privacy.matchAll(/^\| `([A-Za-z_]+)` \| (yes|no) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$/gm)].map(([, name = '', number, what, , kept = '']) => [name, { number, what, kept }]))

const UNITS = [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000], ['second', 1_000]] as const
function inWords (ms: number): string {
  const [unit, length] = UNITS.find(([, each]) => ms >= each) ?? ['second', 1_000]
  return `${ms / length} ${unit}${ms === length ? '' : 's'}`
}

t.test('PRIVACY.md', async (t) => {
  const { default: retentionDays } = Config.properties.RETENTION_DAYS as { default?: number }
  const kept = [...STREAMS.map(({ name, maxAgeMs }) => ({ name, ms: maxAgeMs })), ...BUCKETS.map(({ name, ttlMs }) => ({ name, ms: ttlMs }))]
  t.same([...rows.keys()].toSorted(), kept.map(({ name }) => name).toSorted(), 'has a row for every stream and bucket, and no other')
  for (const { name, ms } of kept) {
    const said = rows.get(name)?.kept ?? ''
    if (ms === null) t.match(said, /^until /, `${name} is kept until something happens`)
    else t.equal(said, inWords(ms), `${name} is kept as long as is said`)
  }
  for (const { name } of STREAMS.filter(({ name }) => name !== 'DEAD_LETTERS')) {
    const holdsNumbers = EVENTS.some(({ stream, data }) => stream === name && 'wa_jid' in data.properties)
    t.equal(rows.get(name)?.number, holdsNumbers ? 'yes' : 'no', `${name} holds ${holdsNumbers ? '' : 'no '}numbers`)
  }
  t.notOk('wa_jid' in claimErased.data.properties, 'the word of an erasure has none')
  t.match(privacy, `RETENTION_DAYS (${retentionDays} days)`, 'knows how long former members are kept')
  t.match(privacy, `${retentionDays} hari`, 'in Indonesian, too')
  for (const words of ['HAPUS DATA', 'DELETE MY DATA']) t.ok(privacy.includes(words) && intentOf(words) === 'erase', `${words} does what is said`)
})

t.test('every service that keeps something about a member hears that they are erased', async (t) => {
  const keepers = new Set([...EVENTS.filter(({ data }) => 'member_id' in data.properties).flatMap(({ authors }) => authors), ...BUCKETS.filter(({ overwrites }) => overwrites).map(({ service }) => service)])
  // What the gateway says of members stands on the bot's stream, and the bot erases it there; on OPERATIONS claim-store erases what all say.
  keepers.delete('gateway')
  const hearers = new Set(CONSUMERS.filter(({ events }) => events.includes(claimErased)).map(({ service }) => service))
  t.same([...hearers].toSorted(), [...keepers].toSorted())
})
