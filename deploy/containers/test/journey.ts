// A member's way against the containers, while each of them dies once. Needs Docker: scripts/compose-journey starts it, and scripts/test does not.
import t from 'tap'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { journey, serversMade, until, type Doors } from '../../../services/test/journey.ts'
import { SERVICES } from '../../staging/system.ts'
import { composeModel, variablesIn } from './compose-model.ts'
import { composeProject } from './docker.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const READY_MS_MAX = 300_000
/** As the compose files have it. */
const GRACE_MS = 60_000

const isRehearsal = process.env['KLAIM_COMPOSE'] === 'rehearsal'
const files = ['docker-compose.yml', ...(isRehearsal ? ['deploy/compose.production.yml', 'deploy/compose.rehearsal.yml'] : [])]
const own = process.env['KLAIM_COMPOSE_FILE']
const variables = isRehearsal ? variablesIn(readFileSync(join(ROOT, 'deploy/containers/rehearsal.env'), 'utf8')) : {}
const project = composeProject([
  '--profile', 'staging', ...(isRehearsal ? ['--env-file', 'deploy/containers/rehearsal.env'] : []), ...[...files, ...(own ? [own] : [])].flatMap((file) => ['-f', file]),
])
const model = composeModel(files, variables)
const doors: Doors = { gatewayUrls: [isRehearsal ? `https://localhost:${variables['HTTPS_PORT']}` : 'http://127.0.0.1:8080'], panelUrl: 'http://127.0.0.1:8082', whatsappUrl: 'http://127.0.0.1:8081' }
// The proxy of a rehearsal has a certificate that it made itself.
if (isRehearsal) process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'

t.teardown(async () => {
  if (process.env['KLAIM_COMPOSE_KEEP'] === undefined) await project.shown('down', '--volumes', '--remove-orphans', '--timeout', '5')
})

/** Shown as it comes: all of it takes ten minutes. */
const say = (line: string): void => { process.stderr.write(`${line}\n`) }

const isReady = async (service: string): Promise<boolean> => await project.compose('exec', '-T', service, 'node', 'deploy/containers/health.ts', '/readyz').then(() => true, () => false)

/** Every service can do its work; of two bots one. */
async function ready (what: string): Promise<void> {
  const names = Object.keys(model.services).filter((name) => SERVICES.some((service) => name.replace(/-2$/, '') === service))
  await until(what, async () => {
    const found = await Promise.all(names.map(async (name) => [name, await isReady(name)] as const))
    const missing = found.filter(([, is]) => !is).map(([name]) => name)
    const bots = names.filter((name) => name.startsWith('bot'))
    return missing.every((name) => bots.includes(name)) && missing.length < bots.length ? true : undefined
  }, { waitMs: READY_MS_MAX, everyMs: 1_000 })
}

await project.compose('down', '--volumes', '--remove-orphans', '--timeout', '5')
// Images that were named are walked through as they are.
if (process.env['KLAIM_TAG']) await project.shown('pull', '--quiet', '--policy', 'missing')
else await project.shown('build')
const began = Date.now()
await project.shown('up', '--detach', '--no-build')
await ready('everything is ready')
say(`from up to ready: ${Math.round((Date.now() - began) / 1_000)} s`)

t.test('docker compose makes of the files what the tests of the files make of them', async (t) => {
  const said = JSON.parse(await project.compose('config', '--format', 'json')) as { services: Record<string, { environment?: Record<string, string | null>, read_only?: boolean, cap_drop?: string[], networks?: Record<string, unknown>, depends_on?: Record<string, unknown>, volumes?: Array<{ source: string, target: string, type: string }>, ports?: Array<{ target: number }>, command?: string[] }> }
  const sortedKeys = (value: object | undefined): string[] => Object.keys(value ?? {}).toSorted()
  const visible = Object.entries(model.services).filter(([, { profiles = [] }]) => profiles.length === 0 || profiles.includes('staging'))
  t.same(sortedKeys(said.services), visible.map(([name]) => name).toSorted())
  for (const [name, service] of visible) {
    const real = said.services[name]
    const environment = Object.fromEntries(Object.entries(service.environment ?? {}).map(([key, value]) => [key, String(value ?? '')]))
    t.same(real?.environment ?? {}, environment, `${name}: environment`)
    t.same([sortedKeys(real?.networks), sortedKeys(real?.depends_on)], [sortedKeys(service.networks), sortedKeys(service.depends_on)], `${name}: networks, and for whom it waits`)
    t.same((real?.volumes ?? []).map(({ target }) => target).toSorted(), (service.volumes ?? []).map((each) => each.split(':')[1] ?? '').toSorted(), `${name}: mounts`)
    t.same((real?.ports ?? []).map(({ target }) => target), (service.ports ?? []).map((port) => Number(/(\d+)(\/udp)?$/.exec(port)?.[1])), `${name}: ports`)
    t.same(real?.command ?? [], service.command ?? [], `${name}: command`)
  }
})

t.test('the containers are what the files say', async (t) => {
  for (const { service, state, exitCode, inspected: { Config: { User: user, Env: env }, HostConfig: host } } of await project.containers()) {
    t.match({ user: /^[1-9]\d*:\d+$/.test(user), ...host }, { user: true, ReadonlyRootfs: true, CapDrop: ['ALL'], Init: true, SecurityOpt: ['no-new-privileges:true'] }, `${service} has no rights`)
    t.ok(host.Memory > 0 && host.PidsLimit > 0, `${service} has limits`)
    t.same(env.filter((each) => /^[A-Z_]*(SECRET|KEY|KEYS|SEED)S?=/.test(each)), [], `${service} has no secret in its environment`)
    if (model.services[service]?.restart === 'no' || service === 'link') t.same([state, exitCode], ['exited', 0], `${service} is done`)
    else t.equal(state, 'running', `${service} runs`)
  }
  for (const name of ['gateway', 'bot']) {
    const seen = async (command: string): Promise<string> => await project.compose('exec', '-T', name, 'sh', '-c', command).then((out) => out.trim(), () => 'refused')
    t.equal(await seen('touch /klaim/x'), 'refused', `${name} cannot write its files`)
    t.match(await seen('grep -E "^Cap(Prm|Eff|Bnd)" /proc/self/status | tr -d "\\n"'), /^(Cap(Prm|Eff|Bnd):\s0{16}){3}$/, 'and holds no capability')
    t.same((await seen('ls /etc/klaim')).split('\n').toSorted(), Object.entries(model.services[name]?.environment ?? {}).filter(([key, value]) => key.endsWith('_FILE') && value !== '').map(([, value]) => String(value).split('/').at(-1) ?? '').toSorted(), 'and sees its own secrets alone')
  }
  t.not(await project.compose('exec', '-T', 'claim-store', 'node', '-e', 'fetch("https://registry.npmjs.org", { signal: AbortSignal.timeout(3000) }).then(() => process.exit(0), () => process.exit(1))').then(() => 0, () => 1), 0, 'claim-store does not reach the world')
})

t.test('a member goes the whole way', async (t) => { await journey(t, doors, 1, async () => {}, GRACE_MS) })

/** One after another, one at every step of a way. */
const VICTIMS = isRehearsal
  ? [['gateway', 'claim-store', 'provisioner', 'nats', 'bot', 'reaper', 'notifier', 'proxy'], ['gateway-2', 'claim-store-2', 'nats-2', 'bot-2', 'nats-3', 'provisioner', 'reaper', 'notifier']]
  : [['gateway', 'claim-store', 'provisioner', 'nats', 'notifier', 'bot', 'reaper', 'alertmanager']]

for (const [way, victims] of VICTIMS.entries()) {
  t.test(`a member goes the whole way, on which these die: ${victims.join(', ')}`, async (t) => {
    const before = await project.containers()
    const made = await serversMade(doors)
    let step = 0
    await journey(t, doors, way + 2, async (after) => {
      const victim = victims[step++] ?? ''
      await project.crash(victim)
      say(`${after}: ${victim} died`)
    }, GRACE_MS)
    t.equal(step, victims.length, 'each had its turn')
    t.equal(await serversMade(doors) - made, 1, 'one server was ever made')
    await ready('everything is ready again')
    const after = await project.containers()
    for (const [n, victim] of victims.entries()) {
      const count = (all: typeof after): number => all.find(({ service }) => service === victim)?.restarts ?? -1
      const times = count(after) - count(before)
      // Who is just starting when NATS dies ends, too, and is brought back once more.
      t.ok(times === 1 || (times === 2 && victims[n + 1]?.startsWith('nats')), `${victim} was brought back by Docker`, { times })
    }
    t.ok(isDeepStrictEqual(after.map(({ id }) => id).toSorted(), before.map(({ id }) => id).toSorted()), 'and nobody else had to do anything')
  })
}

t.test('the secrets once more', async (t) => {
  const again = await project.compose('run', '--rm', '-T', 'secrets')
  t.equal(again.trim(), 'Every container has its secrets.', 'change nothing')
})
