// Compiles what services are made of into NODE_COMPILE_CACHE, and what is named besides: `node deploy/precompile.ts [FILE…]`. A service that finds it there starts
// with half the work, and does without Node's stripper of types, which is WebAssembly and stays in memory once it was needed: 15 MB of each process. Node writes
// there when a process ends.
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { SERVICE_NAMES } from '../contracts/services.ts'
import { nodeArgsFor } from './process.ts'

const { PRECOMPILE_SERVICE: service, ...env } = process.env
const files = process.argv.slice(2)
if (service === undefined) {
  // V8 takes nothing that was compiled with other arguments.
  for (const name of SERVICE_NAMES) {
    const { status } = spawnSync(process.execPath, [...nodeArgsFor(name), import.meta.filename, ...files], { stdio: 'inherit', env: { ...env, PRECOMPILE_SERVICE: name } })
    if (status !== 0) process.exit(1)
  }
} else {
  // The exporter is loaded by who exports traces.
  for (const file of [`services/${service}/main.ts`, 'services/common/tracing-export.ts', ...files]) await import(resolve(import.meta.dirname, '..', file))
}
