// For `node --import`: puts a probe at every await of the services' own code, counts what passes, and kills this process at the first chosen point.
//   CRASH_TRACE  where the counts are written
//   CRASH_AT     names of points, by semicolon, see points.ts
//   CRASH_DIED   where the name of the point is written at which this process dies
import { writeFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { relative, resolve } from 'node:path'
import process, { env, kill, pid } from 'node:process'
import { fileURLToPath } from 'node:url'
import { instrument, PROBE } from './sites.ts'
import { nameOf, type Moment, type Stage, type Trace } from './points.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const OURS = /^services\/(?!test\/|web\/)[\w-]+\/(?!test\/).*\.ts$/
const WRITE_EVERY_MS = 250

const sites: string[] = []
const counts: Record<Stage, number[]> = { run: [], stop: [] }
const chosen = new Set((env['CRASH_AT'] ?? '').split(';'))
/** The sites of those, so that the others cost next to nothing. */
const watched = new Set([...chosen].map((name) => name.split(' ')[2]))
let stage: Stage = 'run'
// A listener that is there first: everything from here on is part of the end.
process.on('SIGTERM', () => { stage = 'stop' })

function pass (site: number, moment: Moment): void {
  const counted = counts[stage]
  if (moment === 'before') counted[site] = (counted[site] ?? 0) + 1
  const name = sites[site] ?? ''
  if (!watched.has(name)) return
  const point = nameOf({ stage, moment, site: name, count: counted[site] ?? 0 })
  if (!chosen.has(point)) return
  writeFileSync(env['CRASH_DIED'] ?? '', point)
  // The kernel ends a process that kills itself before the next instruction.
  kill(pid, 'SIGKILL')
}

Object.defineProperty(globalThis, PROBE, {
  value: {
    reached: (site: number) => { pass(site, 'before'); return site },
    settled: (site: number) => { pass(site, 'after') },
    settling: (site: number, value: unknown) => {
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
  },
})

registerHooks({
  load: (url, context, nextLoad) => {
    const loaded = nextLoad(url, context)
    const file = url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : ''
    if (!OURS.test(file) || !loaded.source) return loaded
    const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source as Uint8Array)
    const { code, sites: found } = instrument(stripTypeScriptTypes(source), file, sites.length)
    sites.push(...found)
    return { format: 'module', source: code, shortCircuit: true }
  },
})

const traceFile = env['CRASH_TRACE']
if (traceFile) {
  const write = (): void => {
    const trace: Trace = { sites: sites.map((site, n) => ({ site, run: counts.run[n] ?? 0, stop: counts.stop[n] ?? 0 })) }
    writeFileSync(traceFile, JSON.stringify(trace))
  }
  setInterval(write, WRITE_EVERY_MS).unref()
  process.on('exit', write)
}
