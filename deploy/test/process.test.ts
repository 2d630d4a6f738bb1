// A service is the same process wherever it runs, and what was compiled beforehand is found.
import t from 'tap'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { SERVICE_NAMES } from '../../contracts/services.ts'
import { NODE_ARGS, PROCESS_ENV } from '../process.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

t.test('Node is started alike', async (t) => {
  const dockerfile = text('deploy/Dockerfile')
  const [, entrypoint = '[]'] = /^ENTRYPOINT (.+)$/m.exec(dockerfile) ?? []
  t.same(JSON.parse(entrypoint), ['node', ...NODE_ARGS], 'in the image')
  const runbook = text('RUNBOOK.md')
  t.match(runbook, `node ${NODE_ARGS.join(' ')} "services/$1/main.ts"`, 'by hand')
  for (const [name, value] of Object.entries(PROCESS_ENV)) {
    t.match(dockerfile, new RegExp(`^ENV ${name}=${value}$`, 'm'), `in the image: ${name}`)
    t.match(runbook, new RegExp(`^ +export ${name}=${value}$`, 'm'), `by hand: ${name}`)
  }
  const { apps } = createRequire(import.meta.url)('../pm2/ecosystem.config.cjs') as { apps: ReadonlyArray<{ name: string, node_args: readonly string[], env: Record<string, string> }> }
  t.same(apps.map(({ name }) => name).toSorted(), [...SERVICE_NAMES].toSorted())
  for (const { name, node_args: args, env } of apps) {
    t.same(args, NODE_ARGS, `by PM2: ${name}`)
    t.match(env, PROCESS_ENV)
  }
})

t.test('what was compiled beforehand needs no stripper of types', async (t) => {
  const env = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: t.testdir() }
  execFileSync(process.execPath, ['deploy/precompile.ts'], { cwd: ROOT, env })
  const strippers = "process.moduleLoadList.filter((name) => name.includes('amaro'))"
  for (const name of SERVICE_NAMES) {
    const loaded = execFileSync(process.execPath, [...NODE_ARGS, '--input-type=module', '--eval', `await import('./services/${name}/main.ts'); console.log(JSON.stringify(${strippers}))`], { cwd: ROOT, env, encoding: 'utf8' })
    t.same(JSON.parse(loaded), [], name)
  }
})
