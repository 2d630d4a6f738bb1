import t from 'tap'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { natsSeeds, startKlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { SERVICES } from '../../deploy/staging/system.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const EX_CONFIG = 78

for (const service of SERVICES) {
  t.test(`${service} without a configuration says what is missing and ends`, async (t) => {
    const { status, stderr, stdout } = spawnSync(process.execPath, [join('services', service, 'main.ts')], { cwd: ROOT, env: { PATH: process.env['PATH'] }, encoding: 'utf8' })
    t.equal(status, EX_CONFIG)
    t.match(stderr, /invalid configuration\n {2}NATS_URL is missing/)
    t.equal(stdout, '')
  })
}

t.test('a service that is told to stop finishes and ends well', async (t) => {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const env = { PATH: process.env['PATH'], ...nats.env('notifier'), PANEL_PUBLIC_URL: 'https://panel.example.org', HEALTH_PORT: '0' }
  const child = spawn(process.execPath, ['services/notifier/main.ts'], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  let lines = ''
  child.stdout.setEncoding('utf8')
  const ended = once(child, 'exit')
  for await (const chunk of child.stdout) {
    lines += chunk
    const started = /"health_port":(\d+),"msg":"service started"/.exec(lines)
    if (started && !lines.includes('service stops')) {
      const port = Number(started[1])
      const paths = ['/healthz', '/readyz', '/metrics', '/other']
      t.same(await Promise.all(paths.map(async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).status)), [200, 200, 200, 404], 'it is alive, ready and measured')
      child.kill('SIGTERM')
      break
    }
  }
  t.same(await ended, [0, null])
})

t.test('a service that is started before the streams are there waits for them', async (t) => {
  const nats = await startKlaimNats({ bare: true })
  t.teardown(() => nats.close())
  const child = spawn(process.execPath, ['services/notifier/main.ts'], {
    cwd: ROOT, env: { PATH: process.env['PATH'], ...nats.env('notifier'), LOG_LEVEL: 'debug', PANEL_PUBLIC_URL: 'https://panel.example.org', HEALTH_PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let lines = ''
  const told = (words: string) => new Promise<void>((resolve) => { child.stdout.on('data', () => { if (lines.includes(words)) resolve() }) })
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { lines += chunk })
  const [waits, starts] = [told('the streams cannot be looked at'), told('service started')]
  await waits
  t.notMatch(lines, 'service started')
  const topology = (env: Record<string, string>) => spawnSync(process.execPath, ['scripts/topology.ts'], { cwd: ROOT, env: { PATH: process.env['PATH'], ...env }, encoding: 'utf8' })
  t.not(topology(nats.env('notifier')).status, 0, 'which no service may make')
  const { status, stdout } = topology(nats.env('operator'))
  t.match({ status, stdout }, { status: 0, stdout: 'are there' }, 'but the operator')
  await starts
  t.pass('and goes on by itself')
})

t.test('a service whose key NATS does not know ends, and says so', async (t) => {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const env = { PATH: process.env['PATH'], ...nats.env('notifier'), NATS_NKEY_SEED: natsSeeds().seeds.notifier, PANEL_PUBLIC_URL: 'https://panel.example.org', HEALTH_PORT: '0' }
  const { status, stdout } = spawnSync(process.execPath, ['services/notifier/main.ts'], { cwd: ROOT, env, encoding: 'utf8', timeout: 20_000 })
  t.equal(status, 1)
  t.match(stdout, /"level":"fatal".*"code":"NATS_REFUSED"/, 'by the code that the runbook explains')
})
