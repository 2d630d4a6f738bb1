// Each service with its own key against a real server: what it needs is let through, and of everything that others may do, nothing.
import t from 'tap'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, nkeyAuthenticator, nkeys, PermissionViolationError, type NatsConnection } from '@nats-io/transport-node'
import { inboxPrefixOf, rightsOf } from '../../../contracts/access.ts'
import { EVENTS } from '../../../contracts/catalog.ts'
import { STREAMS, STORED } from '../../../contracts/streams.ts'
import { connectNats } from '../../../services/common/connect.ts'
import { natsSeeds, startKlaimNats } from '../../staging/klaim-nats.ts'
import { NATS_USERS, usersText, type NatsUser } from '../config.ts'

const SERVICES = NATS_USERS.filter((user) => user !== 'operator')
const seeds = natsSeeds()
const nats = await startKlaimNats({ seeds })
t.teardown(() => nats.close())

/** A subject that the pattern means. */
const instance = (pattern: string): string => pattern.replaceAll('*', 'x').replace(/>$/, 'x')
function covers (pattern: string, subject: string): boolean {
  const [parts, tokens] = [pattern.split('.'), subject.split('.')]
  return parts.every((part, at) => part === '>' ? tokens.length > at : part === '*' ? tokens[at] !== undefined : part === tokens[at]) && (parts.at(-1) === '>' || parts.length === tokens.length)
}

/** Subjects of `tried` on which the server did not let this connection do so. */
async function refused (connection: NatsConnection, operation: 'publish' | 'subscription', tried: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>()
  const watching = (async () => {
    for await (const status of connection.status()) if (status.type === 'error' && status.error instanceof PermissionViolationError && status.error.operation === operation) found.add(status.error.subject)
  })()
  for (const subject of tried) {
    if (operation === 'publish') connection.publish(subject, '')
    else connection.subscribe(subject, { callback: () => {} })
  }
  await connection.flush()
  await connection.close()
  await watching
  return found
}

/** Everything that anybody may do, and what nobody but the operator may. */
const CHANGES = [...STREAMS.map(({ name }) => name), 'KV_brake', 'KV_roster', 'KV_nonces'].flatMap((name) => [
  ...['CREATE', 'UPDATE', 'DELETE', 'PURGE', 'INFO', 'SNAPSHOT', 'RESTORE', 'MSG.DELETE', 'MSG.GET'].map((verb) => `$JS.API.STREAM.${verb}.${name}`),
  `$JS.API.CONSUMER.CREATE.${name}`, `$JS.API.CONSUMER.CREATE.${name}.mine`, `$JS.API.CONSUMER.DURABLE.CREATE.${name}.mine`, `$JS.API.CONSUMER.LIST.${name}`, `$JS.API.CONSUMER.DELETE.${name}.x`, `$JS.API.DIRECT.GET.${name}`,
])
const PUBLISHABLE = [...new Set([
  ...SERVICES.flatMap((service) => rightsOf(service).publish), ...CHANGES, ...EVENTS.map(({ subject }) => subject.replace(/\{\w+\}/g, 'x')),
  ...NATS_USERS.map((user) => `${inboxPrefixOf(user)}.x`), '_INBOX.x', '$JS.API.INFO', '$JS.API.STREAM.NAMES', '$SYS.REQ.SERVER.PING', 'stored.claims.x.requested', 'anything',
].map(instance))]
const HEARABLE = [...new Set([
  ...SERVICES.flatMap((service) => rightsOf(service).subscribe).map(instance), ...NATS_USERS.map((user) => `${inboxPrefixOf(user)}.>`),
  '>', '*', '_INBOX.>', '_INBOX_*.>', '$SYS.>', '$JS.>', '$KV.>', 'klaim.>', 'claims.>', 'members.>', 'messages.>', 'dead.>', 'stored.>', ...EVENTS.map(({ subject }) => subject.replace(/\{\w+\}/g, '*')),
])]

for (const service of SERVICES) {
  t.test(service, async (t) => {
    const { publish, subscribe } = rightsOf(service)
    const open = async (): Promise<NatsConnection> => await connectNats(nats.access(service), service)
    t.same([...await refused(await open(), 'publish', publish.map(instance))], [], 'may publish all that its rights name')
    t.same([...await refused(await open(), 'subscription', subscribe)], [], 'and hear all of it')

    const foreign = PUBLISHABLE.filter((subject) => !publish.some((pattern) => covers(pattern, subject)))
    t.ok(foreign.length > 100, 'there is much that it may not')
    const let_ = await refused(await open(), 'publish', foreign)
    t.same(foreign.filter((subject) => !let_.has(subject)), [], 'is refused to publish anything of another, to change a stream, and to make a consumer')
    const unheard = HEARABLE.filter((subject) => !subscribe.some((pattern) => covers(pattern, subject)))
    const silenced = await refused(await open(), 'subscription', unheard)
    t.same(unheard.filter((subject) => !silenced.has(subject)), [], "is refused to listen to anything of another, most of all another's inbox")
  })
}

t.test('rights', async (t) => {
  for (const service of SERVICES) {
    const { publish, subscribe } = rightsOf(service)
    t.same(publish.filter((subject) => /^(\$JS\.API\.(STREAM\.(?!INFO\.\w+$|MSG\.(DELETE|GET)\.\w+$)|CONSUMER\.(?!INFO\.|MSG\.NEXT\.))|\$JS\.API\.>|\$SYS|_INBOX|>)/.test(subject)), [], `${service} changes no stream and no consumer`)
    t.same(subscribe.filter((subject) => /^(>|\*)/.test(subject)), [])
    t.same(subscribe.filter((subject) => subject.includes('INBOX')), [`${inboxPrefixOf(service)}.>`], `${service} hears its own inbox only`)
  }
  const erasers = (stream: string): NatsUser[] => SERVICES.filter((service) => rightsOf(service).publish.includes(`$JS.API.STREAM.MSG.DELETE.${stream}`))
  t.same(STREAMS.map(({ name }) => [name, erasers(name)]), [
    ['MEMBERS', ['bot']], ['CLAIMS', ['claim-store']], ['SERVERS', ['provisioner']], ['DELETIONS', ['reaper']], ['MESSAGES', ['notifier', 'bot']], ['DEAD_LETTERS', ['claim-store']], ['OPERATIONS', ['claim-store']], ['LIMITS', []],
  ], 'what is to be forgotten is erased by its author alone, and by claim-store where many are')
  const measured = STORED.filter((name) => name !== 'KV_topology')
  t.same(measured.flatMap((name) => SERVICES.filter((service) => rightsOf(service).publish.includes(`$JS.API.STREAM.INFO.${name}`))), measured.map(() => 'claim-store'), 'how full a stream is, claim-store alone learns')
  const readers = (right: string, stream: string): NatsUser[] => SERVICES.filter((service) => rightsOf(service).publish.includes(`$JS.API.${right}.${stream}`))
  for (const stream of measured) {
    t.same(readers('STREAM.MSG.GET', stream), readers('DIRECT.GET', stream), `who may ask the leader of ${stream} for any message may read all of it anyway`)
  }
  const sayers = (subject: string): NatsUser[] => SERVICES.filter((service) => rightsOf(service).publish.some((pattern) => covers(pattern, subject)))
  for (const { subject, authors, type } of EVENTS) {
    const expected = type.startsWith('klaim.deletion.due') ? [] : SERVICES.filter((service) => authors.includes(service))
    t.same(sayers(subject.replace(/\{\w+\}/g, 'x')), expected, `${type} is said by its authors alone${expected.length === 0 ? ': nobody, the server does' : ''}`)
  }
})

t.test('who is not known', async (t) => {
  const stranger = nkeys.createUser().getSeed()
  await t.rejects(connect({ servers: nats.url, reconnect: false }), { name: 'AuthorizationError' }, 'is not let in without a key')
  await t.rejects(connect({ servers: nats.url, reconnect: false, authenticator: nkeyAuthenticator(stranger) }), { name: 'AuthorizationError' }, 'nor with a key of their own')
  const system = await connect({ servers: nats.url, authenticator: nkeyAuthenticator(new TextEncoder().encode(seeds.seeds.system)) })
  t.equal((await refused(system, 'publish', ['$SYS.REQ.SERVER.PING'])).size, 0, 'the system user sees the server')
})

t.test('the configuration of production', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'klaim-nats-conf-'))
  writeFileSync(join(directory, 'users.conf'), usersText(seeds.keys))
  writeFileSync(join(directory, 'nats.conf'), readFileSync(join(import.meta.dirname, '../nats.conf'), 'utf8').replace('"/var/lib/nats"', JSON.stringify(join(directory, 'store'))))
  const { status, stderr } = spawnSync(process.env['NATS_SERVER'] || 'nats-server', ['-c', join(directory, 'nats.conf'), '-t'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  t.match(readFileSync(join(import.meta.dirname, '../nats.conf'), 'utf8'), /sync_interval: always/)
  t.same(Object.values(seeds.seeds).filter((seed) => usersText(seeds.keys).includes(seed)), [], 'holds no seed')
  t.throws(() => usersText({ ...seeds.keys, bot: ['UBAD" } ]'] }), /public nkey/)
})
