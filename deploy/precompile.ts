// Compiles what services are made of into NODE_COMPILE_CACHE. A service that finds it there starts with half the work, and does without Node's stripper of
// types, which is WebAssembly and stays in memory once it was needed: 15 MB of each process. Node writes there when this process ends.
import { SERVICE_NAMES } from '../contracts/services.ts'

for (const name of SERVICE_NAMES) await import(`../services/${name}/main.ts`)
// Loaded by who exports traces.
await import('../services/common/tracing-export.ts')
