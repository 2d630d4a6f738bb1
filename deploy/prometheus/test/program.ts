// Prometheus, Alertmanager and node_exporter themselves. scripts/test says where they are; else they are on PATH.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { until } from '../../../services/test/journey.ts'

const COMMANDS = { PROMETHEUS: 'prometheus', ALERTMANAGER: 'prometheus-alertmanager', NODE_EXPORTER: 'prometheus-node-exporter' } as const
const READY_MS_MAX = 30_000
const SAID_MAX = 4_000

export interface Program { readonly stop: () => Promise<void> }

/** Resolves when `readyUrl` is answered well; rejects with the end of what the program said. It never outlives this process. */
export async function startProgram (name: keyof typeof COMMANDS, args: readonly string[], readyUrl: string): Promise<Program> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.env[name] || COMMANDS[name], ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => { said = (said + chunk).slice(-SAID_MAX) })
  const failed = new Promise<never>((_, reject) => { child.once('error', reject).once('exit', (code) => { reject(new Error(`${COMMANDS[name]} ended with ${code}; scripts/test gets it: ${said}`)) }) })
  failed.catch(() => {})
  const program: Program = {
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null || !child.kill('SIGKILL')) return
      await once(child, 'exit')
    },
  }
  try {
    await Promise.race([failed, until(`${COMMANDS[name]} is ready`, async () => (await fetch(readyUrl)).ok || undefined, { waitMs: READY_MS_MAX })])
  } catch (error) {
    await program.stop()
    throw error
  }
  return program
}
