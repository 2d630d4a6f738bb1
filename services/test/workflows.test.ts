// The workflows by our own rules: nothing but what is pinned, no right that is not named, and only commands that are here.
import t from 'tap'
import { accessSync, constants, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'

const ROOT = resolve(import.meta.dirname, '../..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

interface Step { readonly uses?: string, readonly run?: string, readonly with?: Readonly<Record<string, unknown>>, readonly env?: Readonly<Record<string, string>> }
interface Job { readonly permissions?: Readonly<Record<string, string>>, readonly 'timeout-minutes'?: number, readonly 'runs-on'?: string, readonly container?: string | { readonly image: string }, readonly environment?: string, readonly concurrency?: { readonly 'cancel-in-progress': boolean }, readonly needs?: readonly string[], readonly if?: string, readonly steps: readonly Step[] }
interface Workflow { readonly on: Readonly<Record<string, unknown>>, readonly permissions?: Readonly<Record<string, string>>, readonly concurrency?: object, readonly jobs: Readonly<Record<string, Job>> }

/** Programs of a runner, or of the image a job runs in, that a step may call beside what is in the repository. */
const PROGRAMS = new Set(['apt-get', 'docker', 'git', 'grep', 'npm', 'sed', 'tee'])
const SECRETS = new Set(['GITHUB_TOKEN', 'DEPLOY_KEY', 'VERCEL_TOKEN'])

const isExecutable = (path: string): boolean => {
  try {
    accessSync(join(ROOT, path), constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** First words of the commands of a shell line. */
const commandsIn = (run: string): string[] => run.split(/\n|&&|\|\||;|\|/).map((part) => part.trim().replace(/^(?:do|then)\s+/, '')).filter((part) => part !== '' && !/^(?:for \w+ in |done\b)/.test(part)).map((part) => part.split(/\s+/)[0] ?? '')

const scripts = (JSON.parse(text('package.json')) as { scripts: Record<string, string> }).scripts
const files = globSync('.github/workflows/*.{yml,yaml}', { cwd: ROOT })

t.ok(files.length > 0, 'there are workflows to look at')
for (const file of files) {
  const workflow = parse(text(file)) as Workflow
  const jobs = Object.entries(workflow.jobs)
  const steps = jobs.flatMap(([name, job]) => job.steps.map((step) => ({ name, step })))

  t.test(`${file}: what it uses`, async (t) => {
    const uses = [...text(file).matchAll(/^\s*(?:- )?uses:\s*(\S+)(.*)$/gm)]
    t.ok(uses.length > 0)
    for (const [, action = '', rest = ''] of uses) t.match(`${action}${rest}`, /^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/, `${action} is pinned by a whole commit, and says of which version it is`)
    const commits = new Map<string, Set<string>>()
    for (const [, action = ''] of uses) commits.set(action.split('@')[0] ?? '', (commits.get(action.split('@')[0] ?? '') ?? new Set()).add(action))
    t.same([...commits.values()].filter((each) => each.size > 1), [], 'one action is one commit everywhere')
    for (const [name, { container, 'runs-on': runner }] of jobs) {
      t.match(runner, /^ubuntu-\d\d\.04$/, `${name} runs on a system of one version`)
      if (container !== undefined) t.ok(text('deploy/Dockerfile').includes(`ARG NODE_IMAGE=${typeof container === 'string' ? container : container.image}\n`), `${name} runs in the image that Klaim runs on`)
    }
  })

  t.test(`${file}: its rights`, async (t) => {
    t.same(workflow.permissions, {}, 'none but those that a job names')
    for (const [name, { permissions, 'timeout-minutes': minutes = 0 }] of jobs) {
      t.ok(permissions !== undefined && Object.entries(permissions).every(([what, right]) => right === 'read' || (name === 'image' && what === 'packages')), `${name} may read, and the one that makes the images may store them`)
      t.ok(minutes > 0 && minutes <= 120, `${name} ends`)
    }
    t.ok(workflow.concurrency !== undefined)
    t.notOk('pull_request_target' in workflow.on || 'workflow_run' in workflow.on, 'a stranger\'s change never runs with our rights')
    for (const { name, step } of steps.filter(({ step }) => step.uses?.startsWith('actions/checkout@'))) t.equal(step.with?.['persist-credentials'], false, `${name} keeps no token in the checkout`)
    for (const [, secret = ''] of text(file).matchAll(/secrets\.(\w+)/g)) t.ok(SECRETS.has(secret), `${secret} is one of ours`)
  })

  t.test(`${file}: what it runs`, async (t) => {
    const runs = steps.filter(({ step }) => step.run !== undefined)
    t.ok(runs.length > 0)
    for (const { name, step: { run = '' } } of runs) {
      t.notMatch(run, /\$\{\{/, `${name}: values come by the environment, where a shell does not read them as its own`)
      for (const command of commandsIn(run)) {
        if (command.includes('/')) t.ok(isExecutable(command), `${name}: ${command} is there, and can be run`)
        else t.ok(PROGRAMS.has(command), `${name}: ${command} is a program that is known`)
      }
      t.notMatch(run, /(?:tee|>>?) (?!"\$(?:RUNNER_TEMP|GITHUB_OUTPUT)|&|\/dev)/, `${name}: nothing is written into the checkout, which would show in the tag of the images`)
      for (const [, script = ''] of run.matchAll(/npm run (\S+)/g)) t.ok(script in scripts, `${name}: npm run ${script} is there`)
    }
  })

  t.test(`${file}: the way to members`, async (t) => {
    const needed = (name: string): string[] => { const own = workflow.jobs[name]?.needs ?? []; return [...own, ...own.flatMap(needed)] }
    for (const [name, job] of jobs.filter(([, { environment }]) => environment !== undefined)) {
      t.equal(job.environment, name)
      t.equal(job.if, 'github.event_name == \'push\'', `${name} is for what is on main`)
      t.equal(job.concurrency?.['cancel-in-progress'], false, `${name} is never broken off half-way`)
      for (const before of ['check', 'test', 'image', 'journey', ...(name === 'production' ? ['staging'] : [])]) t.ok(needed(name).includes(before), `${before} comes before ${name}`)
    }
    for (const [name, { steps }] of jobs) if (steps.some(({ env = {} }) => Object.values(env).some((value) => /secrets\.(?!GITHUB_TOKEN)/.test(value)))) t.ok(workflow.jobs[name]?.environment, `${name} has an environment, which guards its secrets`)
  })
}
