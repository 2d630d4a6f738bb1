// For `node --import`: puts a probe at every await of the services' own code, counts what passes, and kills this process at the first chosen point.
//   CRASH_TRACE  where the counts are written
//   CRASH_CACHE  directory of modules that were rewritten before: a process that is to die soon should not take long to start
//   CRASH_AT     names of points, by semicolon, see points.ts
//   CRASH_DIED   where the name of the point is written at which this process dies
import { createHash } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { join, relative, resolve } from 'node:path'
import process, { env, kill, pid } from 'node:process'
import { fileURLToPath } from 'node:url'
import { instrument, PROBE, type Instrumented, type Probe } from './sites.ts'
import type { Moment, Passes } from './points.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const OURS = /^services\/(?!test\/|web\/)[\w-]+\/(?!test\/).*\.ts$/
const WRITE_EVERY_MS = 250

/** Of all sites of the modules loaded so far. */
const passes = new Map<string, { run: number, stop: number }>()
let stage: keyof Passes = 'run'
// A listener that is there first: everything from here on is part of the end.
process.on('SIGTERM', () => { stage = 'stop' })

/** Names of the chosen points by what is seen here: a process does not know when it counts as started, so start and run are one. */
const chosen = new Map((env['CRASH_AT'] ?? '').split(';').map((name) => [name.replace(/^start /, 'run '), name]))
/** The sites of those, so that the others cost next to nothing. */
const watched = new Set([...chosen.values()].map((name) => name.split(' ')[2]))

function pass (site: string, moment: Moment): void {
  const counted = passes.get(site) as Passes & { run: number, stop: number }
  if (moment === 'before') counted[stage]++
  if (!watched.has(site)) return
  const point = chosen.get(`${stage} ${moment} ${site} ${counted[stage]}`)
  if (point === undefined) return
  writeFileSync(env['CRASH_DIED'] ?? '', point)
  // The kernel ends a process that kills itself before the next instruction.
  kill(pid, 'SIGKILL')
}

const probe: Probe = {
  reached: (site) => { pass(site, 'before'); return site },
  settled: (site) => { pass(site, 'after') },
  settling: (site, value) => {
    if (typeof (value as PromiseLike<unknown> | null | undefined)?.then !== 'function') {
      pass(site, 'after')
      return value
    }
    return (async () => {
      try {
        return await (value as PromiseLike<unknown>)
      } finally {
        pass(site, 'after')
      }
    })()
  },
}
Object.defineProperty(globalThis, PROBE, { value: probe })

registerHooks({
  load: (url, context, nextLoad) => {
    const file = url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : ''
    if (!OURS.test(file)) return nextLoad(url, context)
    const { code, sites } = instrumented(file)
    for (const site of sites) passes.set(site, { run: 0, stop: 0 })
    return { format: 'module', source: code, shortCircuit: true }
  },
})

/** From the cache, if the module was ever seen in this very state. */
function instrumented (file: string): Instrumented {
  const source = readFileSync(join(ROOT, file), 'utf8')
  const cached = join(env['CRASH_CACHE'] ?? '', `${createHash('sha256').update(`${file}\n${source}`).digest('hex')}.json`)
  try {
    return JSON.parse(readFileSync(cached, 'utf8')) as Instrumented
  } catch {
    const fresh = instrument(stripTypeScriptTypes(source), file)
    writeWhole(cached, fresh)
    return fresh
  }
}

/** Other processes read and write the same file: they see all of it or nothing. */
function writeWhole (path: string, content: unknown): void {
  writeFileSync(`${path}.${pid}`, JSON.stringify(content))
  renameSync(`${path}.${pid}`, path)
}

const traceFile = env['CRASH_TRACE']
if (traceFile) {
  const write = (): void => { writeWhole(traceFile, Object.fromEntries(passes)) }
  setInterval(write, WRITE_EVERY_MS).unref()
  process.on('exit', write)
}
