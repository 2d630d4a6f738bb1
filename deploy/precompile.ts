// Compiles what services are made of into NODE_COMPILE_CACHE. A service that finds it there starts with half the work, and does without Node's stripper of
// types, which is WebAssembly and stays in memory once it was needed: 15 MB of each process. Node writes there when a process ends.
import { spawnSync } from 'node:child_process'
import { SERVICE_NAMES } from '../contracts/services.ts'
import { nodeArgsFor } from './process.ts'

const [service] = process.argv.slice(2)
if (service === undefined) {
  // V8 takes nothing that was compiled with other arguments.
  for (const name of SERVICE_NAMES) {
    const { status } = spawnSync(process.execPath, [...nodeArgsFor(name), import.meta.filename, name], { stdio: 'inherit' })
    if (status !== 0) process.exit(1)
  }
} else {
  await import(`../services/${service}/main.ts`)
  // Loaded by who exports traces.
  await import('../services/common/tracing-export.ts')
}
