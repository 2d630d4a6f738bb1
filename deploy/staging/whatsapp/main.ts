/** Runs the double as a process, configured by the environment (README.md lists the variables). */
import { env, stderr, stdout } from 'node:process'
import { startWhatsApp } from './whatsapp.ts'

function whole (name: string, otherwise: number, max = 65_535): number {
  const value = env[name] ? Number(env[name]) : otherwise
  if (!Number.isInteger(value) || value < 0 || value > max) throw new Error(`${name} must be a whole number from 0 to ${max}`)
  return value
}

// libsignal prints whole sessions, private keys included, straight to the console.
for (const level of ['info', 'warn', 'error'] as const) console[level] = () => {}

const whatsapp = await startWhatsApp({
  host: env.WHATSAPP_DOUBLE_HOST || '127.0.0.1',
  port: whole('WHATSAPP_DOUBLE_PORT', 7100),
  controlPort: whole('WHATSAPP_DOUBLE_CONTROL_PORT', 7101),
  stateFile: env.WHATSAPP_DOUBLE_STATE_FILE || undefined,
  members: whole('WHATSAPP_DOUBLE_MEMBERS', 5, 10_000),
  outsiders: whole('WHATSAPP_DOUBLE_OUTSIDERS', 3, 10_000),
  addressing: env.WHATSAPP_DOUBLE_ADDRESSING === 'pn' ? 'pn' : 'lid'
})
whatsapp.onFault((error) => { stderr.write(`whatsapp-double: ${error instanceof Error ? error.message : String(error)}\n`) })
const { url, controlUrl, group } = whatsapp
stdout.write(JSON.stringify({ ready: 'whatsapp-double', url, controlUrl, group }) + '\n')

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => { void whatsapp.close().finally(() => process.exit()) })
}
