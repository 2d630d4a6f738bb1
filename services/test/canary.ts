// The canary beside a whole system, as a process of its own that goes on until it is told to end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { System } from '../../deploy/staging/system.ts'

const ROOT = resolve(import.meta.dirname, '../..')

export interface CanaryOptions {
  /** Of somebody in the group who does not claim otherwise. */
  readonly number: string
  readonly healthPort: number
  /** As `--every` takes it. */
  readonly every: string
}

/** Answers how it is ended; at the latest it ends with this process. */
export function startCanary (system: System, { number, healthPort, every }: CanaryOptions): { readonly end: (signal?: NodeJS.Signals) => Promise<void> } {
  const numberFile = join(system.secretsDirectory, 'canary_number')
  writeFileSync(numberFile, number, { mode: 0o600 })
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, join(ROOT, 'scripts/klaim.ts'), 'canary', '--every', every], {
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...system.nats.env('operator'), GATEWAY_URL: system.gatewayUrls[0], HEALTH_PORT: String(healthPort),
      CANARY_NUMBER_FILE: numberFile, CANARY_WHATSAPP_URL: system.whatsappUrl, CANARY_PATIENCE_MS: '30000',
    },
  })
  return {
    end: async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill(signal)
      await once(child, 'exit')
    },
  }
}
