// The runbook's words about one node of NATS of three, by its own commands: it is missed, and a new machine takes its place.
import t from 'tap'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { STORED } from '../../contracts/streams.ts'
import { createMissing } from '../../deploy/secrets/creation.ts'
import { makeDirectory } from '../../deploy/secrets/directory.ts'
import { natsSeedsIn, startKlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { startNats } from '../../deploy/staging/nats/nats-server.ts'
import { connectNats } from '../common/connect.ts'
import { scratch } from '../common/test/scratch.ts'
import { until } from './journey.ts'
import { operatorOf } from './operator.ts'
import { walk } from './procedures.ts'

const directory = scratch(t)
const at = (...parts: string[]): string => join(directory, ...parts)
const secrets = makeDirectory(at('secrets'))
createMissing(secrets)
const nats = await startKlaimNats({ seeds: natsSeedsIn(secrets), storeDir: at('nats'), replicas: 3 })
t.teardown(() => nats.close())
const nobody = 'http://127.0.0.1:9'
const operator = operatorOf({ nats, secretsDirectory: at('secrets'), logDirectory: at('logs'), panelUrl: nobody, whatsappUrl: nobody, botUrl: nobody, gatewayUrls: [nobody], healthUrl: () => nobody }, directory)
const connection = await connectNats(nats.access('operator'), 'operator')
t.teardown(() => connection.close())
const jsm = await jetstreamManager(connection)

/** Of each stream the nodes on which a whole copy is. */
async function copies (): Promise<Array<{ stream: string, nodes: string[] }>> {
  return await Promise.all(STORED.map(async (stream) => {
    const { cluster } = await jsm.streams.info(stream)
    return { stream, nodes: [cluster?.leader ?? '', ...(cluster?.replicas ?? []).filter(({ current, offline }) => current && !offline).map(({ name }) => name)].toSorted() }
  }))
}

t.test('a node is lost, and a new machine takes its place', async (t) => {
  const does = walk('A node of NATS is lost', operator)
  await does(t, 1, { prints: /^(?=[^]*node1)(?=[^]*node2)(?=[^]*node3)[^]*RAFT Meta Group/ })
  const old = nats.nodes.get('node3')
  await old?.kill()
  await until('a leader is chosen for every stream', async () => (await copies()).every(({ nodes }) => nodes.length >= 2 && !nodes.includes('node3')) || undefined)
  await does(t, 1, { prints: /node3 .*false/ })
  t.match((await operator.run('scripts/nats stream report')).said, /CLAIMS .*node3!/)

  const configFile = at('node4.conf')
  writeFileSync(configFile, readFileSync(old?.configFile ?? '', 'utf8').replace('server_name: "node3"', 'server_name: "node4"'))
  const fresh = await startNats({ configFile, storeDir: at('nats', 'node4') })
  t.teardown(() => fresh.close())
  await does(t, 4, { fill: [['OLD-NAME', 'node3']] })
  await until('every stream is whole again', async () => (await copies()).every(({ nodes }) => nodes.join() === 'node1,node2,node4') || undefined)
  const said = await does(t, 1, { prints: /node4/ })
  t.notMatch(said, /node3/, 'nobody asks for the old one any more')
})
