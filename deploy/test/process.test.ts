// A service is the same process wherever it runs, and what was compiled beforehand is found.
import t from 'tap'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { isServing, SERVICE_NAMES } from '../../contracts/services.ts'
import { composeModel, variablesIn } from '../containers/test/compose-model.ts'
import { NODE_ARGS, nodeArgsFor, OWN_NODE_ARGS, PROCESS_ENV } from '../process.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

t.test('Node is started alike', async (t) => {
  const dockerfile = text('deploy/Dockerfile')
  const [, entrypoint = '[]'] = /^ENTRYPOINT (.+)$/m.exec(dockerfile) ?? []
  t.same(JSON.parse(entrypoint), ['node', ...NODE_ARGS], 'in the image')
  const runbook = text('RUNBOOK.md')
  t.match(runbook, `node ${NODE_ARGS.join(' ')} $own "services/$1/main.ts"`, 'by hand')
  const own = [...runbook.matchAll(/^ +([a-z-]+)\) own='?([^']+?)'? ;;$/gm)].map(([, name, args = '']) => [name, args.split(' ')])
  t.same(Object.fromEntries(own), Object.fromEntries(Object.entries(OWN_NODE_ARGS).filter(([, args]) => args.length > 0)), 'by hand: what one service gets besides')
  const rehearsal = variablesIn(text('deploy/containers/rehearsal.env'))
  for (const files of [['docker-compose.yml'], ['docker-compose.yml', 'deploy/compose.production.yml'], ['docker-compose.yml', 'deploy/compose.production.yml', 'deploy/compose.rehearsal.yml']]) {
    const started = Object.entries(composeModel(files, rehearsal).services).flatMap(([container, { command = [] }]) => {
      const [, name = ''] = /^services\/(.+)\/main\.ts$/.exec(command.at(-1) ?? '') ?? []
      return isServing(name) ? [{ container, name, command }] : []
    })
    t.same(new Set(started.map(({ name }) => name)), new Set(SERVICE_NAMES))
    for (const { container, name, command } of started) t.same(command.slice(0, -1).filter((word) => word.startsWith('--') && word !== '--import'), OWN_NODE_ARGS[name], `${files.at(-1) ?? ''}: ${container}`)
  }
  for (const [name, value] of Object.entries(PROCESS_ENV)) {
    t.match(dockerfile, new RegExp(`^ENV ${name}=${value}$`, 'm'), `in the image: ${name}`)
    t.match(runbook, new RegExp(`^ +export ${name}=${value}$`, 'm'), `by hand: ${name}`)
  }
  const { apps } = createRequire(import.meta.url)('../pm2/ecosystem.config.cjs') as { apps: ReadonlyArray<{ name: string, node_args: readonly string[], env: Record<string, string> }> }
  t.same(apps.map(({ name }) => name).toSorted(), [...SERVICE_NAMES].toSorted())
  for (const { name, node_args: args, env } of apps) {
    t.same(args, isServing(name) && nodeArgsFor(name), `by PM2: ${name}`)
    t.match(env, PROCESS_ENV)
  }
})

t.test('what was compiled beforehand needs no stripper of types, and no service loads a fetch', async (t) => {
  const env = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: t.testdir() }
  execFileSync(process.execPath, ['deploy/precompile.ts'], { cwd: ROOT, env })
  const heavy = "process.moduleLoadList.filter((name) => /amaro|deps\\/undici/.test(name))"
  for (const name of SERVICE_NAMES) {
    const loaded = execFileSync(process.execPath, [...nodeArgsFor(name), '--input-type=module', '--eval', `await import('./services/${name}/main.ts'); console.log(JSON.stringify(${heavy}))`], { cwd: ROOT, env, encoding: 'utf8' })
    t.same(JSON.parse(loaded), [], name)
  }
})
