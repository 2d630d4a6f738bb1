// Three nodes as deploy/nats sets them up: who may join, and what who asks may do on each.
import t from 'tap'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect, nkeyAuthenticator, PermissionViolationError } from '@nats-io/transport-node'
import { rightsOf } from '../../../contracts/access.ts'
import { randomSecret } from '../../secrets/creation.ts'
import { natsSeeds, serverConfig, startKlaimNats } from '../../staging/klaim-nats.ts'
import { freePort, startNats, type Nats } from '../../staging/nats/nats-server.ts'
import { clusterText, NATS_USERS, usersText } from '../config.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const seeds = natsSeeds()
const directory = t.testdir({})
const at = (...names: string[]): string => join(directory, ...names)
const openssl = (...args: string[]): void => { execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] }) }
const ours = (file: string): string => readFileSync(join(import.meta.dirname, '..', file), 'utf8')

/** A node's certificate of an authority, in both its roles. */
function certify (authority: string, node: string): void {
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${node}`, '-keyout', `${node}.key`, '-out', `${node}.csr`)
  writeFileSync(at(`${node}.ext`), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n')
  openssl('x509', '-req', '-days', '2', '-in', `${node}.csr`, '-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-extfile', `${node}.ext`, '-out', `${node}.crt`)
}
for (const authority of ['nodes', 'others']) openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${authority}`, '-keyout', `${authority}.key`, '-out', `${authority}.crt`)
for (const node of ['node1', 'node2', 'node3']) certify('nodes', node)
certify('others', 'stranger')

const tlsOf = (node: string): string => ours('cluster-tls.example.conf').replace('/etc/klaim/nats/node.crt', at(`${node}.crt`)).replace('/etc/klaim/nats/node.key', at(`${node}.key`)).replace('/etc/klaim/nats/nodes-ca.crt', at('nodes.crt'))

t.test('the configuration of each node is one that nats-server takes', async (t) => {
  const secrets = at('secrets')
  execFileSync(join(ROOT, 'scripts/secrets'), ['create', secrets])
  for (const node of ['node1', 'node2', 'node3']) {
    mkdirSync(at(`conf-${node}`))
    writeFileSync(at(`conf-${node}`, 'users.conf'), usersText(seeds.keys))
    writeFileSync(at(`conf-${node}`, 'cluster.conf'), execFileSync(join(ROOT, 'scripts/secrets'), ['nats-cluster', node, 'a.internal,b.internal,10.0.0.3', secrets]))
    writeFileSync(at(`conf-${node}`, 'cluster-tls.conf'), tlsOf(node))
    writeFileSync(at(`conf-${node}`, 'nats.conf'), `${ours('nats.conf').replace('"/var/lib/nats"', JSON.stringify(at('store')))}include "cluster.conf"\n`)
    const { status, stderr } = spawnSync(process.env['NATS_SERVER'] || 'nats-server', ['-c', at(`conf-${node}`, 'nats.conf'), '-t'], { encoding: 'utf8' })
    t.equal(status, 0, stderr)
  }
  t.throws(() => clusterText({ serverName: 'node 1', listen: '0.0.0.0:6222', routes: [], password: randomSecret(), hasTls: true }), /name of a node/)
  t.throws(() => clusterText({ serverName: 'node1', listen: '0.0.0.0:6222', routes: ['x"]'], password: randomSecret(), hasTls: true }), /no host:port/)
  t.throws(() => clusterText({ serverName: 'node1', listen: '0.0.0.0:6222', routes: [], password: 'short', hasTls: true }), /password/)
})

t.test('who is no node of ours does not get in', async (t) => {
  const password = randomSecret()
  const nodes = ['node1', 'node2']
  const ports = new Map(await Promise.all([...nodes, 'stranger'].map(async (node) => [node, await freePort()] as const)))
  const address = (node: string): string => `127.0.0.1:${ports.get(node)}`
  async function started (serverName: string, { known = password, certificate = serverName } = {}): Promise<Nats> {
    const routes = [...new Set([...nodes, serverName])].map(address)
    const cluster = clusterText({ serverName, listen: address(serverName), routes, password: known, hasTls: true }).replace('include "cluster-tls.conf"', tlsOf(certificate))
    const configFile = at(`${serverName}-${certificate}-${known.slice(0, 8)}.conf`)
    writeFileSync(configFile, serverConfig(seeds.keys, cluster))
    const nats = await startNats({ configFile })
    t.teardown(() => nats.close())
    return nats
  }
  const neighbours = async (nats: Nats): Promise<string[]> => {
    const { routes } = await (await fetch(`${nats.monitoringUrl}/routez`)).json() as { routes: Array<{ remote_name: string }> }
    return [...new Set(routes.map(({ remote_name }) => remote_name))]
  }
  const seen = async (nats: Nats, words: RegExp): Promise<void> => { while (!words.test(readFileSync(nats.logFile, 'utf8'))) await delay(50) }

  const [first] = await Promise.all(nodes.map(async (node) => await started(node)))
  while ((await neighbours(first as Nats)).length === 0) await delay(50)
  t.same(await neighbours(first as Nats), ['node2'], 'two nodes of one authority and one password are a cluster')
  const guesser = await started('stranger', { known: randomSecret(), certificate: 'node3' })
  await seen(guesser, /Authorization Violation|Authentication Failure/)
  // The guesser itself lists a neighbour until that has refused it.
  t.same(await neighbours(first as Nats), ['node2'], 'with a certificate and another password')
  await guesser.close()
  const stranger = await started('stranger')
  await seen(stranger, /TLS route handshake error/)
  t.same(await neighbours(first as Nats), ['node2'], 'and with the password and a certificate of another authority')
})

t.test('a service may do on each node what it may do on one', async (t) => {
  const nats = await startKlaimNats({ seeds, replicas: 3, bare: true })
  t.teardown(() => nats.close())
  for (const [name, node] of nats.nodes) {
    for (const user of NATS_USERS.filter((each) => each !== 'operator')) {
      const connection = await connect({ servers: node.url, reconnect: false, inboxPrefix: '_INBOX_x', authenticator: nkeyAuthenticator(new TextEncoder().encode(seeds.seeds[user])) })
      const refused: string[] = []
      const watching = (async () => {
        for await (const status of connection.status()) if (status.type === 'error' && status.error instanceof PermissionViolationError) refused.push(status.error.subject)
      })()
      const allowed = rightsOf(user).publish.map((pattern) => pattern.replaceAll('*', 'x').replace(/>$/, 'x'))
      for (const subject of [...allowed, 'anything', '$JS.API.STREAM.DELETE.CLAIMS']) connection.publish(subject, '')
      await connection.flush()
      await connection.close()
      await watching
      t.same(refused, ['anything', '$JS.API.STREAM.DELETE.CLAIMS'], `${user} on ${name}`)
    }
    await t.rejects(connect({ servers: node.url, reconnect: false }), { name: 'AuthorizationError' }, `${name} lets nobody in without a key`)
  }
})
