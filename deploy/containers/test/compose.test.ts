// Every container of every compose file: without rights, within limits, with its own secrets and no other, in a version that is written down.
import t from 'tap'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { TObject } from 'typebox'
import { parse } from 'yaml'
import { BotConfig } from '../../../services/bot/config.ts'
import { Config as ClaimStoreConfig } from '../../../services/claim-store/config.ts'
import { CommonConfig } from '../../../services/common/run.ts'
import { Config as GatewayConfig } from '../../../services/gateway/config.ts'
import { Config as NotifierConfig } from '../../../services/notifier/config.ts'
import { Config as ProvisionerConfig } from '../../../services/provisioner/config.ts'
import { Config as ReaperConfig } from '../../../services/reaper/config.ts'
import { SECRETS, secretsFor } from '../../secrets/catalogue.ts'
import { SERVICES } from '../../staging/system.ts'
import { createWorld } from '../../staging/whatsapp/world.ts'
import { composeModel, variablesIn, type Model, type Service } from './compose-model.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const rehearsal = variablesIn(text('deploy/containers/rehearsal.env'))
const PRODUCTION = ['docker-compose.yml', 'deploy/compose.production.yml']
const MODELS: Readonly<Record<string, Model>> = {
  staging: composeModel(['docker-compose.yml']),
  production: composeModel(PRODUCTION, rehearsal),
  rehearsal: composeModel([...PRODUCTION, 'deploy/compose.rehearsal.yml'], rehearsal),
}
const CONFIGS: Readonly<Record<string, TObject>> = { gateway: GatewayConfig, 'claim-store': ClaimStoreConfig, provisioner: ProvisionerConfig, reaper: ReaperConfig, notifier: NotifierConfig, bot: BotConfig }

const OURS = /^klaim(-operator|-staging)?:/
const kindOf = (name: string): string => name.replace(/-\d$/, '')
const isOnce = ({ restart }: Service): boolean => restart !== 'unless-stopped'
const mountsOf = ({ volumes = [] }: Service) => volumes.map((each) => { const [source = '', target = '', mode] = each.split(':'); return { source, target, isReadOnly: mode === 'ro' } })
const secretVolumes = (service: Service): string[] => mountsOf(service).map(({ source }) => source).filter((source) => source.startsWith('secrets'))
const seconds = (duration = ''): number => { const [, minutes = '0', rest = '0'] = /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration) ?? []; return Number(minutes) * 60 + Number(rest) }
const bytes = (size = ''): number => Number.parseInt(size, 10) * ({ m: 2 ** 20, g: 2 ** 30 }[size.at(-1) ?? ''] ?? Number.NaN)

/** What is not so at some container, in words. */
const RULES: Readonly<Record<string, (service: Service, name: string) => boolean>> = {
  'comes back by itself, or is done once': ({ restart }) => ['unless-stopped', 'no', 'on-failure'].includes(restart ?? ''),
  'is reaped and told to stop by an init': ({ init }) => init === true,
  'cannot write its file system': ({ read_only: isReadOnly }) => isReadOnly === true,
  'has no right of root': ({ cap_drop: dropped, cap_add: added = [], privileged }, name) => dropped?.join() === 'ALL' && privileged === undefined && added.join() === (name === 'proxy' ? 'NET_BIND_SERVICE' : ''),
  'cannot get one': ({ security_opt: options }) => options?.includes('no-new-privileges:true') === true,
  'is not root': ({ user }) => /^[1-9]\d*:\d+$/.test(user ?? ''),
  'has a limit of memory, without swap': ({ mem_limit: memory, memswap_limit: swap }) => bytes(memory) >= 32 * 2 ** 20 && memory === swap,
  'has a limit of processor time': ({ cpus }) => (cpus ?? 0) > 0,
  'has a limit of processes': ({ pids_limit: pids }) => (pids ?? 0) > 0 && (pids ?? 0) <= 512,
  'leaves no memory on the disk when it crashes': ({ ulimits }) => ulimits?.core === 0,
  'has logs that end': ({ logging }) => logging?.options?.['max-size'] === '10m' && logging.options['max-file'] === '5',
  'has time to stop': ({ stop_grace_period: grace }) => seconds(grace) > 0,
  'is asked whether it is well': (service, name) => isOnce(service) ? service.healthcheck?.disable === true : name === 'nats-exporter' || (service.healthcheck?.test?.length ?? 0) > 1,
  'has one version, with a digest where it is known': ({ image }, name) => OURS.test(image) || (['nats-exporter', 'nats-cli'].includes(name) ? /^[\w./-]+:\d+\.\d+\.\d+(-[a-z]+)?$/ : /^[\w./-]+:v?\d+\.\d+\.\d+(-[a-z]+)?@sha256:[0-9a-f]{64}$/).test(image),
  'is seen on this machine alone': ({ ports = [] }, name) => name === 'proxy' || ports.every((port) => port.startsWith('127.0.0.1:')),
  'reads its secrets, and does not write them': (service, name) => ['secrets', 'operator'].includes(name) || mountsOf(service).filter(({ target }) => target === '/etc/klaim').every(({ isReadOnly }) => isReadOnly),
}

for (const [what, { services, networks, volumes }] of Object.entries(MODELS)) {
  t.test(`${what}: every container`, async (t) => {
    t.ok(Object.keys(services).length > 10, 'there are containers to look at')
    for (const [rule, holds] of Object.entries(RULES)) t.same(Object.entries(services).filter(([name, service]) => !holds(service, name)).map(([name]) => name), [], rule)
  })

  t.test(`${what}: secrets`, async (t) => {
    for (const [name, service] of Object.entries(services)) {
      const given = secretVolumes(service)
      if (name === 'secrets') t.same(given.toSorted(), Object.keys(volumes).filter((volume) => volume.startsWith('secrets')).toSorted(), 'one container has all of them, to hand them out')
      else if (['operator', 'nats-cli'].includes(name)) t.same(given, ['secrets'], 'and the operator has the whole set')
      else t.same(given.filter((volume) => volume !== `secrets-${name === 'topology' ? 'operator' : kindOf(name)}`), [], `${name} has no volume of another`)
      const files = Object.entries(service.environment ?? {}).filter(([variable, path]) => SECRETS.some((secret) => variable === `${secret.variable}_FILE`) && path !== '').map(([variable, path]) => `${variable}=${String(path)}`)
      const holder = name === 'topology' ? 'operator' : kindOf(name)
      if (holder in CONFIGS || ['topology', 'backup', 'canary'].includes(name)) {
        // It is nothing without the number.
        const own = secretsFor(holder).filter((secret) => name === 'canary' || !('isOptional' in secret)).map(({ variable, file }) => `${variable}_FILE=/etc/klaim/${file}`)
        t.same(files.toSorted(), own.toSorted(), `${name} is given what scripts/secrets environment says`)
      }
    }
    const values = Object.values(services).flatMap(({ environment = {} }) => Object.entries(environment)).filter(([variable]) => SECRETS.some((secret) => secret.variable === variable))
    t.same(values, [], 'and no secret stands in an environment')
  })

  t.test(`${what}: services`, async (t) => {
    for (const service of SERVICES) t.ok(service in services, `${service} is there`)
    for (const [name, { environment = {}, stop_grace_period: grace }] of Object.entries(services).filter(([name]) => kindOf(name) in CONFIGS)) {
      const known = Object.keys((CONFIGS[kindOf(name)] as TObject).properties)
      t.same(Object.keys(environment).filter((variable) => !known.includes(variable.replace(/(?<!BOOK)_FILE$/, ''))), [], `${name} is given nothing that it does not know`)
      const { default: stopMs } = CommonConfig.STOP_TIMEOUT_MS as { default?: number }
      t.ok(seconds(grace) * 1_000 > Number(environment['STOP_TIMEOUT_MS'] ?? stopMs), `${name} may take the time that it takes to stop`)
      const ports = parse(text('deploy/prometheus/targets/klaim.yml')) as Array<{ labels: { service: string }, targets: string[] }>
      t.equal(environment['HEALTH_PORT'], Number(ports.find(({ labels }) => labels.service === kindOf(name))?.targets[0]?.split(':')[1]), `${name} has the port that the runbook calls`)
    }
    const graces = ['claim-store', 'reaper'].map((name) => services[name]?.environment?.['GRACE_MS'])
    t.equal(graces[0], graces[1], 'claim-store and reaper have the same grace')
  })

  t.test(`${what}: who waits for whom, and who reaches whom`, async (t) => {
    for (const [name, service] of Object.entries(services)) {
      for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
        const target = services[other]
        t.ok(target, `${other}, for which ${name} waits, is there`)
        if (!target) continue
        t.ok(condition === (isOnce(target) ? 'service_completed_successfully' : 'service_healthy') || ['bot before link', 'prometheus before grafana'].includes(`${other} before ${name}`), `${name} waits until ${other} is ${isOnce(target) ? 'done' : 'well'}`)
      }
      if (kindOf(name) in CONFIGS || name === 'backup') t.ok('topology' in (service.depends_on ?? {}), `${name} waits for the streams`)
      t.same(Object.keys(service.networks ?? {}).filter((network) => !(network in networks)), [])
    }
    t.equal(networks['inner']?.internal, true, 'the inner network has no way out')
    const outside = Object.entries(services).filter(([, service]) => Object.keys(service.networks ?? {}).some((network) => networks[network]?.internal !== true)).map(([name]) => kindOf(name))
    t.same(['nats', 'claim-store', 'reaper', 'notifier', 'topology', 'backup', 'canary', 'secrets', 'nats-exporter'].filter((name) => outside.includes(name)), [], 'who needs nothing of the world does not reach it')
    for (const service of Object.values(services)) for (const { source } of mountsOf(service)) t.ok(source.startsWith('./') ? existsSync(join(ROOT, source)) : source in volumes, `${source} is there to be mounted`)
  })
}

t.test('members', async (t) => {
  const { services } = MODELS['production'] as Model
  t.same(Object.values(services).filter(({ profiles = [] }) => !profiles.includes('staging')).filter(({ image, command = [] }) => image.includes('staging') || command.some((word) => word.includes('staging'))), [], 'meet no double')
  t.same(services['canary']?.profiles, ['staging'], 'nor a canary that they did not start')
  t.same(['bot', 'bot-2'].map((name) => services[name]?.environment?.['WHATSAPP_URL']), ['', ''], 'and WhatsApp itself')
  const { GRACE_MS: _, ...given } = rehearsal
  const { services: ordinary } = composeModel(PRODUCTION, given)
  t.equal(ordinary['claim-store']?.environment?.['GRACE_MS'], '14400000', 'have four hours')
  for (const name of ['PANEL_URL', 'PANEL_PUBLIC_URL', 'CLAIM_EMAIL_DOMAIN', 'GROUP_ID', 'KLAIM_DOMAIN', 'ALERTMANAGER_FILE']) t.throws(() => composeModel(PRODUCTION, { ...rehearsal, [name]: '' }), new RegExp(`needs ${name}`), `nothing starts without ${name}`)
  t.same(Object.entries(services).filter(([, { ports = [] }]) => ports.some((port) => !port.startsWith('127.'))).map(([name]) => name), ['proxy'], 'come in by one door')
  t.notOk('ports' in (services['gateway'] ?? {}) && services['gateway']?.ports?.length)
})

t.test('the canary of staging', async (t) => {
  const { services } = MODELS['staging'] as Model
  const [, number = ''] = /CANARY_NUMBER = '(\d+)'/.exec(text('deploy/staging/container-secrets.ts')) ?? []
  const { people } = createWorld({ members: Number(services['whatsapp']?.environment?.['WHATSAPP_DOUBLE_MEMBERS']) })
  t.equal(people.filter(({ name }) => name.startsWith('Member')).at(-1)?.number, number, 'is the last member, whom nobody plays first')
})

t.test('Prometheus finds every process', async (t) => {
  for (const [what, directory] of [['staging', 'targets'], ['production', 'targets-production']] as const) {
    const { services } = MODELS[what] as Model
    const files = ['alertmanager', 'canary', 'klaim', 'nats', 'node'].map((file) => parse(text(`deploy/containers/${directory}/${file}.yml`)) as Array<{ targets: string[] }>)
    const targets = files.flat().flatMap(({ targets }) => targets)
    t.same(targets.map((target) => target.split(':')[0] ?? '').filter((name) => !(name in services)), [], `${what}: and nobody who is not there`)
    const expected = Object.entries(services)
      .filter(([name, { profiles = [] }]) => kindOf(name) in CONFIGS || name === 'backup' || (name === 'canary' && what === profiles[0])).map(([name, { environment = {} }]) => `${name}:${environment['HEALTH_PORT']}`)
    t.same(expected.filter((target) => !targets.includes(target)), [], what)
  }
  const source = (path: string) => ({ ...(parse(text(path)) as { datasources: Array<Record<string, unknown>> }).datasources[0], url: null })
  t.same(source('deploy/containers/grafana/prometheus.yml'), source('deploy/grafana/provisioning/datasources/prometheus.yml'), 'and Grafana finds Prometheus as elsewhere, but for its address')
})
