// NATS with TLS, as deploy/nats/tls.example.conf sets it up: who does not know its authority, or expects another name, says nothing to it.
import t from 'tap'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, nkeyAuthenticator } from '@nats-io/transport-node'
import { connectNats } from '../../../services/common/connect.ts'
import { natsSeeds, serverConfig } from '../../staging/klaim-nats.ts'
import { startNats } from '../../staging/nats/nats-server.ts'

const seeds = natsSeeds()
const directory = t.testdir({})
const at = (name: string): string => join(directory, name)
const openssl = (...args: string[]): void => { execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] }) }

/** An authority, and a certificate of it for these names. */
function certified (authority: string, server: string, names: string): void {
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${authority}`, '-keyout', `${authority}.key`, '-out', `${authority}.crt`)
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${server}`, '-keyout', `${server}.key`, '-out', `${server}.csr`)
  writeFileSync(at(`${server}.ext`), `subjectAltName=${names}\n`)
  openssl('x509', '-req', '-days', '2', '-in', `${server}.csr`, '-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-extfile', `${server}.ext`, '-out', `${server}.crt`)
}

async function served (server: string) {
  const tls = readFileSync(join(import.meta.dirname, '../tls.example.conf'), 'utf8').replace('/etc/klaim/nats/server.crt', at(`${server}.crt`)).replace('/etc/klaim/nats/server.key', at(`${server}.key`))
  writeFileSync(at(`${server}.conf`), `${serverConfig(seeds.keys)}${tls}`)
  const nats = await startNats({ configFile: at(`${server}.conf`) })
  t.teardown(() => nats.close())
  return nats
}

certified('ours', 'here', 'IP:127.0.0.1')
certified('theirs', 'elsewhere', 'DNS:elsewhere.invalid')
const here = await served('here')
const once = { maxReconnectAttempts: 0, reconnect: false, timeout: 3_000, authenticator: nkeyAuthenticator(new TextEncoder().encode(seeds.seeds.bot)) }

t.test('with its authority a service is let in, over TLS 1.3', async (t) => {
  const connection = await connectNats({ servers: here.url, seed: seeds.seeds.bot, caFile: at('ours.crt') }, 'bot')
  t.equal(connection.info?.tls_required, true)
  await connection.close()
})

t.test('nobody else gets as far as a word', async (t) => {
  await t.rejects(connect({ ...once, servers: here.url }), 'a client without TLS')
  await t.rejects(connect({ ...once, servers: here.url, tls: { handshakeFirst: true } }), /self.signed|unable to verify|certificate/i, 'one that trusts the public authorities only')
  await t.rejects(connect({ ...once, servers: here.url, tls: { handshakeFirst: true, ca: readFileSync(at('theirs.crt'), 'utf8') } }), /self.signed|unable to verify|certificate/i, 'one that trusts another authority')
  const elsewhere = await served('elsewhere')
  await t.rejects(connect({ ...once, servers: elsewhere.url, tls: { handshakeFirst: true, ca: readFileSync(at('theirs.crt'), 'utf8') } }), /IP|altnames/i, 'and a server with a name that is not its own is refused by the client')
})
