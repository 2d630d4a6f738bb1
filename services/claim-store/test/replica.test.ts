import t from 'tap'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { headers } from '@nats-io/transport-node'
import { serverReady } from '../../../contracts/events/servers.ts'
import { createClaim, getClaim } from '../../../contracts/requests.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { createBus, type Bus } from '../../common/bus.ts'
import { connectNats } from '../../common/connect.ts'
import { createLog } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics } from '../../common/metrics.ts'
import { scratch } from '../../common/test/scratch.ts'
import { start } from '../main.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())

const MEMBER_ID_KEY = 'k'.repeat(32)
const server = { user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node', port: 25565 }, username: 'member', sealed_password: 'a.b.c.d.e' }
/** Half of the questions go where nothing is held. */
const MAPPINGS = 'mappings: { "$JS.API.DIRECT.GET.CLAIMS": [{ destination: "$JS.API.DIRECT.GET.CLAIMS", weight: 50% }, { destination: "replica.behind", weight: 50% }] }'
const NOT_FOUND = 404

async function reconfigure (change: (text: string) => string): Promise<void> {
  writeFileSync(nats.configFile, change(readFileSync(nats.configFile, 'utf8')))
  await nats.kill('SIGHUP')
}

// In a cluster any replica answers a direct get, and one of them may be a moment behind. Here one more joins, which holds nothing at all.
t.test('what a replica does not hold yet is not passed over', async (t) => {
  const log = createLog('claim-store', 'trace', () => {})
  const directory = scratch(t)
  const [gateway, provisioner] = await Promise.all((['gateway', 'provisioner'] as const).map(async (service) => {
    const bus = await createBus({ ...nats.playing(service), log, metrics: createMetrics(service), now: () => new Date() })
    t.teardown(() => bus.close())
    return bus
  })) as [Bus, Bus]
  let behind = 0
  const { jsm: jetstream } = gateway.raw
  const replica = await connectNats(nats.access('operator'), 'operator')
  t.teardown(() => replica.close())
  replica.subscribe('replica.behind', { callback: (error, message) => { if (error) throw error; behind++; message.respond(undefined, { headers: headers(NOT_FOUND, 'Message Not Found') }) } })

  await reconfigure((text) => text.replaceAll('"$JS.API.DIRECT.GET.CLAIMS"', '"$JS.API.DIRECT.GET.CLAIMS", "replica.behind"'))
  const books = ['one', 'other'].map((name) => join(directory, `${name}.json`))
  for (const path of books) {
    const running = await start({
      ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS: 'l'.repeat(32), BOOK_FILE: path, BOOK_EVERY_MS: 20, GRACE_MS: 1_000, RETENTION_DAYS: 90, LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000,
    }, { log, metrics: createMetrics('claim-store'), now: () => new Date() })
    t.teardown(running.stop)
  }
  await reconfigure((text) => text.replace('KLAIM { ', `KLAIM { ${MAPPINGS}, `))
  for (let tries = 0; tries < 100 && behind === 0; tries++) await jetstream.direct.getBatch('CLAIMS', { seq: 1, batch: 1 }).catch(() => {})
  const claimIds: string[] = []
  for (let n = 0; n < 30; n++) {
    const wa_jid = `62812000009${String(n).padStart(2, '0')}@s.whatsapp.net`
    const claim_id = randomUUID()
    await gateway.request(createClaim, { claim_id, wa_jid, username: 'member', template: 'nodejs', template_version: 1, language: 'id' })
    claimIds.push(claim_id)
    // Whichever claim-store hears of it, the other may have accepted the claim.
    await provisioner.publish(serverReady, { key: claim_id, causation: `claim.requested.v1:${claim_id}`, data: { claim_id, member_id: memberIdOf(MEMBER_ID_KEY, wa_jid), ...server } })
    // A claim that is not known is looked for in all that the stream holds.
    await gateway.request(getClaim, { claim_id: randomUUID() })
  }
  const lacking = (path: string): string[] => {
    const known = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { claims: Array<{ claim_id: string, status: string }> }).claims : []
    return claimIds.filter((claimId) => !known.some(({ claim_id, status }) => claim_id === claimId && status === 'active'))
  }
  for (let tries = 0; tries < 100 && books.some((path) => lacking(path).length > 0); tries++) await delay(100)
  t.same(books.map(lacking), [[], []], 'both claim-stores come to know that every claim is active')
  t.ok(behind > 10, `${behind} questions were answered by the one that is behind`)
})
