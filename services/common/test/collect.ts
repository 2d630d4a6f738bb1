// V8's collector when a test asks for it, so that it can be told what is kept and what is let go.
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

/** Resolves when everything that nothing holds has been collected. A weak look keeps its object until the turn is over, so the next one is waited for. */
export async function collected (): Promise<void> {
  await setImmediate()
  gc()
}
