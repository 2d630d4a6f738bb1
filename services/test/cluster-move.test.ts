// The runbook's way from one node of NATS to three, by its own commands: everybody keeps what they have, and then a node may be lost.
import t from 'tap'
import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { CONSUMERS, STORED } from '../../contracts/streams.ts'
import { natsSeedsIn, startKlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { openDirectory } from '../../deploy/secrets/directory.ts'
import { SERVICES, startSystem } from '../../deploy/staging/system.ts'
import { connectNats } from '../common/connect.ts'
import { numberOf, settled } from './crowd.ts'
import { actor, panelState, until } from './journey.ts'
import { carryOut, procedure } from './procedures.ts'

const MEMBERS = [1, 2, 3]
const directory = mkdtempSync(join(tmpdir(), 'klaim-move-'))
const system = await startSystem({
  directory, members: 8,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' },
    bot: { SEND_GAP_MS: '20' },
  },
})
t.teardown(() => system.close())
const claimed = async (member: number, status?: string): Promise<string> => await actor(system, numberOf(member)).claimed(status)
const becomes = async (claimId: string, status: string): Promise<void> => { await actor(system, '').becomes(claimId, status) }

const claims = await Promise.all(MEMBERS.map(async (member) => await claimed(member)))
await Promise.all(claims.map(async (claimId) => { await becomes(claimId, 'active') }))
await settled(system)

const state = (...path: string[]): string => join(dirname(system.logDirectory), ...path)
const env = {
  NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: join(system.secretsDirectory, 'nats_operator.nk'), LEDGER_KEYS_FILE: join(system.secretsDirectory, 'ledger_keys'), NATS_SERVER: process.env['NATS_SERVER'] ?? '',
  BOOK_FILE: state('book', 'claims.json'), BACKUP_DIRECTORY: state('backups'), BACKUP_METRICS_FILE: state('klaim_backup.prom'),
}
const steps = procedure('From one node of NATS to three.')
const [, backup, , , restoring] = steps
await Promise.all(SERVICES.map(async (service) => { await system.kill(service, 'SIGTERM') }))
await carryOut(backup?.command ?? '', system.secretsDirectory, { env })
await system.nats.close()
const cluster = await startKlaimNats({ storeDir: state('nats-cluster'), seeds: natsSeedsIn(openDirectory(system.secretsDirectory)), replicas: 3, bare: true })
t.teardown(() => cluster.close())
const [newest = ''] = readdirSync(env.BACKUP_DIRECTORY).filter((name) => name.endsWith('.tar.gz'))
await carryOut((restoring?.command ?? '').replace('BACKUP', join(env.BACKUP_DIRECTORY, newest)), system.secretsDirectory, { env: { ...env, NATS_URL: cluster.url, NATS_REPLICAS: '3' } })

t.test('everything is on three nodes', async (t) => {
  const connection = await connectNats(cluster.access('operator'), 'operator')
  t.teardown(() => connection.close())
  const jsm = await jetstreamManager(connection)
  const copies = async (): Promise<Set<number>> => new Set((await Promise.all([
    ...STORED.map(async (name) => await jsm.streams.info(name)),
    ...CONSUMERS.map(async ({ stream, name }) => await jsm.consumers.info(stream, name)),
  ])).map(({ cluster: group }) => (group?.replicas ?? []).filter(({ current }) => current).length))
  // What was whole when it was restored may be a moment behind again.
  t.ok(await until('every stream and every consumer has two other copies', async () => [...await copies()].join() === '2' || undefined))
})

t.test('services go on where they were', async (t) => {
  const { serverCreates } = await panelState(system)
  await Promise.all(SERVICES.filter((service) => service !== 'bot').map(async (service) => { await system.start(service, { NATS_URL: cluster.url }) }))
  await Promise.all(claims.map(async (claimId) => { await becomes(claimId, 'active') }))
  const started = system.start('bot', { NATS_URL: cluster.url })
  await system.link()
  await started
  const again = await actor(system, numberOf(1)).claim()
  t.same([again.status, again.body.error?.code, again.body.error?.claim_id], [409, 'ALREADY_CLAIMED', claims[0]], 'who has a server is known')
  await claimed(4, 'active')
  t.equal((await panelState(system)).serverCreates, serverCreates + 1, 'and only who claims now is given one')
})

t.test('and a node may be lost', async () => {
  await cluster.nodes.get('node1')?.kill('SIGKILL')
  await claimed(5, 'active')
})
