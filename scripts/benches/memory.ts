// What each service holds in memory (RSS): idle, after a spike of 500, and over ten spikes of 50.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SERVICES, type System } from '../../deploy/staging/system.ts'
import { atMost, type Bench, type Figure } from './bench.ts'
import { withSystem } from './crowd.ts'
import { residentMb } from './service-process.ts'
import { spike, UNPACED } from './spike.ts'

const ROOT = resolve(import.meta.dirname, '../..')
/** A process that has just started gives some of it back. */
const REST_MS = 5_000
const RESIDENT_MB_MAX = 120
/** Four times as fast as the spike that was specified, or ten of them would last ten minutes. */
const SOON_MS = 15_000
const BARE = {
  gateway: "import fastify from 'fastify'; const app = fastify(); await app.listen({ port: 0 }); console.log('ready')",
  bot: "import * as baileys from '@whiskeysockets/baileys'; globalThis.baileys = baileys; setInterval(() => {}, 1e6); console.log('ready')",
} as const

/** A process of the library alone. */
async function bareMb (code: string): Promise<number> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  await delay(REST_MS)
  const mb = residentMb(child.pid ?? 0)
  child.kill('SIGKILL')
  return mb
}

const held = (system: System): Map<string, number> => new Map(SERVICES.map((service) => [service, residentMb(system.pid(service) ?? 0)]))

export const memory: Bench = {
  name: 'memory', summary: 'memory of each service, idle, after a spike of 500, and over ten spikes', isSlow: true,
  run: async ({ directory, some, say }) => {
    const [crowd, small] = [some(500), some(50)]
    const [fastify, baileys] = [await bareMb(BARE.gateway), await bareMb(BARE.bot)]
    return await withSystem({
      directory, members: crowd + 10 * small,
      // The panel's own pace would make ten spikes last an hour.
      env: { ...UNPACED, panel: { PANEL_DOUBLE_RATE_LIMIT: '100000' } },
    }, async (system) => {
      await delay(REST_MS)
      const idle = held(system)
      await spike(system, 1, crowd)
      await delay(REST_MS)
      const after = held(system)
      let last = after
      for (let turn = 0; turn < 10; turn++) {
        await spike(system, crowd + turn * small + 1, small, SOON_MS)
        last = held(system)
        say(`after ${turn + 1} more: ${[...last].map(([service, mb]) => `${service} ${mb.toFixed(0)}`).join(', ')} MB`)
      }
      return SERVICES.flatMap((service): Figure[] => {
        const floor = { what: service === 'bot' ? 'a process with Baileys' : 'a process with Fastify', value: service === 'bot' ? baileys : fastify }
        return [
          { what: `memory of ${service}, idle`, unit: 'MB', value: idle.get(service) ?? NaN, floor, goal: atMost(RESIDENT_MB_MAX) },
          { what: `memory of ${service} after a spike of 500`, unit: 'MB', value: after.get(service) ?? NaN, floor, goal: atMost(RESIDENT_MB_MAX) },
          { what: `memory of ${service} after ten more spikes`, unit: 'MB', value: last.get(service) ?? NaN, floor: { what: 'after the first', value: after.get(service) ?? NaN }, goal: atMost(1.1, 'ratio') },
        ]
      })
    })
  },
}
