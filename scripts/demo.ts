// What scripts/demo runs once everything it needs is there.
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { startSystem, type System } from '../deploy/staging/system.ts'

const directory = resolve(import.meta.dirname, '../.demo')
const port = (name: string): number => Number(process.env[name])
const say = (line: string): void => { console.log(line) }
/** Long enough to watch, short enough to wait for. In production it is four hours. */
const GRACE_S = 60

let system: System | undefined
let stopping = false
async function stop (code: number): Promise<void> {
  if (stopping) return
  stopping = true
  say('\nStopping everything')
  await system?.close()
  process.exit(code)
}
process.on('SIGINT', () => { void stop(0) }).on('SIGTERM', () => { void stop(0) })

// Every demo starts from nothing, so that what is shown does not depend on what was played before.
rmSync(directory, { recursive: true, force: true })
try {
  system = await startSystem({
    directory, say, graceMs: GRACE_S * 1_000, members: 12, outsiders: 4,
    ports: { gateway: port('KLAIM_PORT'), whatsapp: port('KLAIM_WHATSAPP_PORT'), panel: port('KLAIM_PANEL_PORT') },
    env: { panel: { PANEL_DOUBLE_ALLOCATION_IP: '127.0.0.1' }, reaper: { SWEEP_EVERY_MS: '10000', POSTPONE_MS: '10000', BRAKE_DEPARTURES_MIN: '20' }, bot: { SEND_GAP_MS: '300' } },
  })
  say(`
Klaim is running.

  Claim a server    ${system.gatewayUrls[0]}      as 0812 0000 0001, the first member of the group
  The group, chats  ${system.whatsappUrl}      make members leave, come back, or write to the bot
  The panel         ${system.panelUrl}      users and servers come and go

The grace after a leave is ${GRACE_S} s here; in production it is 4 h. Logs: ${system.logDirectory}
Ctrl-C ends everything.`)
} catch (error) {
  console.error(`\nThe demo could not start: ${(error as Error).message}`)
  await stop(1)
}
