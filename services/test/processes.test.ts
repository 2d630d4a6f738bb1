import t from 'tap'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { startKlaimNats } from '../../deploy/staging/klaim-nats.ts'
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
    const started = /"healthPort":(\d+),"msg":"service started"/.exec(lines)
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
