/** The double as a process. Environment: see README.md. */
import { readFileSync } from 'node:fs'
import { isKey } from './keys.ts'
import { startPanel } from './panel.ts'
import type { PanelOptions } from './panel.ts'

const { env } = process
const print = (line: string) => { process.stdout.write(`${line}\n`) }

function number (name: string, fallback: number): number {
  const text = env[name]
  if (text === undefined || text === '') return fallback
  if (!/^\d+$/.test(text)) throw new Error(`${name} must be a whole number`)
  return Number(text)
}

function nodes (): NonNullable<PanelOptions['nodes']> {
  const count = number('PANEL_DOUBLE_NODES', 2)
  const first = number('PANEL_DOUBLE_PORT_FIRST', 20100)
  const perNode = number('PANEL_DOUBLE_PORTS_PER_NODE', 50)
  const ip = env.PANEL_DOUBLE_ALLOCATION_IP ?? '127.0.0.1'
  const alias = env.PANEL_DOUBLE_ALLOCATION_ALIAS ?? null
  return Array.from({ length: count }, (_, index) => {
    const from = first + index * perNode
    return { name: `node${index + 1}`, ip, alias, ports: [from, from + perNode - 1] }
  })
}

async function run (): Promise<void> {
  const applicationKey = env.PANEL_DOUBLE_KEY_FILE ? readFileSync(env.PANEL_DOUBLE_KEY_FILE, 'utf8').trim() : env.PANEL_DOUBLE_KEY ?? ''
  if (!isKey(applicationKey)) throw new Error('PANEL_DOUBLE_KEY must be ptla_ and 43 letters or digits')
  const install = env.PANEL_DOUBLE_INSTALL ?? 'success'
  if (install !== 'success' && install !== 'failure' && install !== 'never') throw new Error('PANEL_DOUBLE_INSTALL must be success, failure or never')
  const panel = await startPanel({
    port: number('PANEL_DOUBLE_PORT', 8000),
    host: env.PANEL_DOUBLE_HOST ?? '127.0.0.1',
    applicationKey,
    nodes: nodes(),
    restartOf: env.PANEL_DOUBLE_RESTART_OF === 'machine' ? 'machine' : 'panel',
    ...env.PANEL_DOUBLE_STATE_FILE === undefined ? {} : { stateFile: env.PANEL_DOUBLE_STATE_FILE },
    knobs: {
      workers: number('PANEL_DOUBLE_WORKERS', 8),
      rateLimit: number('PANEL_DOUBLE_RATE_LIMIT', 240),
      guzzleTimeoutMs: number('PANEL_DOUBLE_GUZZLE_TIMEOUT_MS', 15_000),
      passwordHashMs: number('PANEL_DOUBLE_PASSWORD_HASH_MS', 80),
      latencyMs: number('PANEL_DOUBLE_LATENCY_MS', 20)
    },
    wings: {
      install,
      installDelayMs: number('PANEL_DOUBLE_INSTALL_DELAY_MS', 3_000),
      startDelayMs: number('PANEL_DOUBLE_START_DELAY_MS', 500)
    },
    log: print
  })
  print(`panel double ready at ${panel.url}`)

  const stop = () => {
    process.off('SIGTERM', stop).off('SIGINT', stop)
    panel.close().catch((error: unknown) => { print(`closing failed: ${String(error)}`) })
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
}

try {
  await run()
} catch (error) {
  process.stderr.write(`panel double: ${(error as Error).message}\n`)
  process.exitCode = 1
}
