// What scripts/doctor says of NATS on three nodes, and of two of them that are left.
import t from 'tap'
import { STREAMS } from '../../../contracts/streams.ts'
import { openDirectory } from '../../../deploy/secrets/directory.ts'
import { natsSeedsIn, startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { stagingSecrets } from '../../../deploy/staging/secrets.ts'
import { loadConfig } from '../../../services/common/config.ts'
import { scratch } from '../../../services/common/test/scratch.ts'
import { until } from '../../../services/test/journey.ts'
import { meantBy } from '../checks.ts'
import { examine, type Result } from '../examine.ts'
import { Settings } from '../settings.ts'
import { openWorld } from '../world.ts'

t.test('three nodes of NATS', async (t) => {
  const secrets = scratch(t)
  stagingSecrets(secrets)
  const nats = await startKlaimNats({ seeds: natsSeedsIn(openDirectory(secrets)), replicas: 3 })
  t.teardown(() => nats.close())

  async function visit (): Promise<Map<string, Result['finding']>> {
    const opened = openWorld(loadConfig(Settings, { ...nats.env('operator'), SECRETS_DIRECTORY: secrets }), () => new Date())
    try {
      const results: Result[] = []
      for await (const result of examine(meantBy('nats'), opened.world, new Set())) results.push(result)
      return new Map(results.map(({ check: { name }, finding }) => [name, finding]))
    } finally {
      await opened.close()
    }
  }

  const whole = await until('every copy is whole', async () => {
    const findings = await visit()
    return [...findings.values()].every(({ verdict }) => verdict === 'ok') ? findings : undefined
  })
  t.match(whole.get('nats-servers')?.text, /^3 nodes of \d+\.\d+\.\d+, what is acknowledged is on the disk$/)
  t.equal(whole.get('nats-streams')?.text, `${STREAMS.length} streams are as described, on 3 nodes each`)

  await nats.nodes.get('node3')?.kill()
  const left = await until('the others have seen that one is gone', async () => {
    const findings = await visit()
    // A consumer that node3 led answers once another one leads it.
    return findings.get('nats-buckets')?.text.includes('node3 has no whole copy') && findings.get('nats-consumers')?.verdict === 'ok' ? findings : undefined
  })
  t.same([left.get('nats-servers')?.verdict, left.get('nats-servers')?.text], ['no', '2 of 3 nodes answer'])
  t.match(left.get('nats-buckets'), { verdict: 'no', text: /\bnode3 has no whole copy\b/ })
  t.equal(left.get('nats-storage')?.verdict, 'ok', 'which holds up nothing')
})
