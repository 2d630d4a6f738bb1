// Looks at everything at once, each with a limit of its own, and tells of it in the order of the list.
import { Fault } from '../../services/common/fault.ts'
import { Unseen, type Check, type Finding } from './check.ts'
import type { World } from './world.ts'

/** `left_out`: it was told to be, so it is neither a reason to go nor to stay. */
export interface Result { readonly check: Check, readonly finding: Omit<Finding, 'verdict'> & { readonly verdict: Finding['verdict'] | 'left_out' } }

const LOOK_MS_MAX = 10_000

export async function * examine (checks: readonly Check[], world: Omit<World, 'signal'>, without: ReadonlySet<Check>): AsyncGenerator<Result> {
  const looks = checks.map(async (check): Promise<Result> => ({
    check, finding: without.has(check) ? { verdict: 'left_out', text: 'left out', remarks: [] } : await looked(check, world),
  }))
  for (const look of looks) yield await look
}

async function looked (check: Check, shared: Omit<World, 'signal'>): Promise<Finding> {
  const missing = check.needs.filter((name) => shared.settings[name] === undefined)
  if (missing.length > 0) return unknown(`not looked at: ${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not set`, 'config/.env.example, scripts/doctor')
  const limit = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(() => {
      limit.abort()
      resolve(unknown(`no answer within ${LOOK_MS_MAX / 1_000} s`))
    }, LOOK_MS_MAX)
  })
  try {
    return await Promise.race([check.look({ ...shared, signal: limit.signal }), late])
  } catch (error) {
    if (error instanceof Unseen) return unknown(error.message, error.todo)
    if (error instanceof Fault) return unknown(`${error.code}: ${error.message}`)
    // Its message may quote what was sent or read.
    return unknown(`it could not be looked at (${error instanceof Error ? (error as NodeJS.ErrnoException).code ?? error.name : 'unknown'})`)
  } finally {
    clearTimeout(timer)
  }
}

const unknown = (text: string, todo?: string): Finding => ({ verdict: 'unknown', text, remarks: [], ...(todo === undefined ? {} : { todo }) })
