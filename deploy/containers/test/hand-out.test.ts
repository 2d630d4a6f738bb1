import t, { type Test } from 'tap'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { loadConfig } from '../../../services/common/config.ts'
import { createMissing } from '../../secrets/creation.ts'
import { secretsFor } from '../../secrets/catalogue.ts'
import { makeDirectory, type Directory } from '../../secrets/directory.ts'
import { ROTATIONS } from '../../secrets/rotation.ts'
import { newPanelKey } from '../../staging/secrets.ts'
import { SERVICES } from '../../staging/system.ts'
import { handOut, sharesOf, type Settings } from '../hand-out.ts'
import { Type } from 'typebox'

const ROOT = resolve(import.meta.dirname, '../../..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const settings = (natsNodes: readonly string[] = ['nats']): Settings => ({ natsConf: text('deploy/nats/nats.conf'), natsNodes, alertmanagerYml: text('deploy/prometheus/alertmanager.yml'), alertsUrl: 'http://bot:8085' })
const HOLDERS = [...SERVICES, 'operator', 'backup', 'canary', 'alertmanager', 'nats', 'panel', 'link']

/** A full set, and the volumes that Docker made. */
function world (t: Test): { directory: Directory, volumes: string, files: (holder: string) => string[], read: (holder: string, file: string) => string } {
  const path = t.testdir()
  const directory = makeDirectory(join(path, 'secrets'))
  createMissing(directory)
  directory.write('panel_key', newPanelKey())
  const volumes = join(path, 'volumes')
  for (const holder of HOLDERS) mkdirSync(join(volumes, holder), { recursive: true, mode: 0o700 })
  return { directory, volumes, files: (holder) => readdirSync(join(volumes, holder)).toSorted(), read: (holder, file) => readFileSync(join(volumes, holder, file), 'utf8') }
}

t.test('each container gets its own secrets', async (t) => {
  const { directory, volumes, files, read } = world(t)
  t.ok(handOut(sharesOf(directory, settings()), volumes).length > 20)
  for (const holder of [...SERVICES, 'operator', 'backup', 'canary']) {
    const own = secretsFor(holder).filter((secret) => secret.isOptional !== true).map(({ file }) => file)
    t.same(files(holder), own.toSorted(), `${holder} has its own`)
    for (const file of own) {
      t.equal(read(holder, file), directory.text(file), file)
      t.equal(loadConfig(Type.Object({ X: Type.String() }), { X_FILE: join(volumes, holder, file) }).X, directory.text(file), 'in a file that a service takes')
    }
    t.equal(statSync(join(volumes, holder)).mode & 0o777, 0o700)
  }
  t.same(['panel', 'link', 'alertmanager'].map(files), [['panel_key'], ['internal_secret'], ['alertmanager.yml', 'alerts_secret']], 'so have those that are no services')
  t.equal(statSync(join(volumes, 'alertmanager', 'alerts_secret')).mode & 0o777, 0o644, 'which another user may read')
  t.match(read('alertmanager', 'alertmanager.yml'), /url: http:\/\/bot:8085\/internal\/alerts$/m, 'and the way to the bot')
  t.notMatch(read('alertmanager', 'alertmanager.yml'), '127.0.0.1')
  t.same(handOut(sharesOf(directory, settings()), volumes), [], 'and once more changes nothing')
})

t.test('what changed is handed out, and what is another\'s is taken away', async (t) => {
  const { directory, volumes, files, read } = world(t)
  handOut(sharesOf(directory, settings()), volumes)
  ROTATIONS['internal-secret']?.begin?.carryOut(directory)
  writeFileSync(join(volumes, 'notifier', 'panel_key'), 'left behind')
  t.same(handOut(sharesOf(directory, settings()), volumes).toSorted(), [...['gateway', 'reaper', 'bot', 'link'].map((holder) => `${holder} has internal_secret`), 'notifier has no panel_key any more'].toSorted())
  t.equal(read('bot', 'internal_secret'), directory.text('internal_secret'))
  directory.write('alert_numbers', '6281200000001')
  t.same(handOut(sharesOf(directory, settings()), volumes), ['bot has alert_numbers'])
  t.same(files('bot').includes('internal_secret.next'), false, 'what is about to be is nobody\'s')
})

t.test('the configuration of NATS', async (t) => {
  const server = process.env['NATS_SERVER'] || 'nats-server'
  for (const nodes of [['nats'], ['nats', 'nats-2', 'nats-3']]) {
    const { directory, volumes, files, read } = world(t)
    handOut(sharesOf(directory, settings(nodes)), volumes)
    t.same(files('nats'), [...nodes.map((node) => `${node}.conf`), 'users.conf'].toSorted())
    for (const node of nodes) {
      const { status, stderr } = spawnSync(server, ['-t', '-c', join(volumes, 'nats', `${node}.conf`)], { encoding: 'utf8' })
      t.equal(status, 0, `${node}: ${stderr}`)
      t.equal(/^server_name: "(.*)"$/m.exec(read('nats', `${node}.conf`))?.[1], nodes.length === 1 ? undefined : node)
      t.equal([...read('nats', `${node}.conf`).matchAll(/^http: "(.*)"$/gm)].at(-1)?.[1], '0.0.0.0:8222', 'the last word is that the exporter may ask')
    }
    const secrets = SERVICES.flatMap((service) => secretsFor(service)).filter(({ file }) => directory.has(file)).map(({ file }) => directory.text(file))
    t.same(files('nats').filter((file) => secrets.some((secret) => read('nats', file).includes(secret))), [], 'holds no secret of a service')
  }
})
