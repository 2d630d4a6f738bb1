// scripts/backup: makes a verified backup, once or for ever. What it holds and why is in scripts/backups/what.ts.
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Type, type Static } from 'typebox'
import { Config as ClaimStoreConfig } from '../services/claim-store/config.ts'
import { createMac } from '../services/claim-store/mac.ts'
import { connectNats, natsOf } from '../services/common/connect.ts'
import { serveHealth } from '../services/common/health.ts'
import { CommonConfig } from '../services/common/run.ts'
import { backUp, wordsOf } from './backups/backup.ts'
import { createBackupMetrics, writeTextfile } from './backups/metrics.ts'
import { withSettings } from './operating/settings.ts'

const { NATS_URL, NATS_NKEY_SEED, NATS_CA_FILE, HEALTH_HOST, HEALTH_PORT } = CommonConfig
const { BOOK_FILE, LEDGER_KEYS } = ClaimStoreConfig.properties
const Settings = Type.Object({
  NATS_URL, NATS_NKEY_SEED, NATS_CA_FILE, HEALTH_HOST, HEALTH_PORT, BOOK_FILE, LEDGER_KEYS,
  BACKUP_DIRECTORY: Type.String({ minLength: 1 }),
  BACKUP_METRICS_FILE: Type.Optional(Type.String({ minLength: 1 })),
})
type Settings = Readonly<Static<typeof Settings>>

const CONNECT_MS_MAX = 60_000
const HOUR_MS = 3_600_000
const EVERY = /^([1-9]\d{0,2})h$/

const print = (line: string): void => { process.stdout.write(`${line}\n`) }

/** Answers the exit code. */
async function once (settings: Settings): Promise<number> {
  const registry = createBackupMetrics(settings.BACKUP_DIRECTORY)
  const connecting = connectNats(natsOf(settings), 'operator')
  let code = 0
  try {
    // A client waits for ever; a backup must not, or nobody would hear of it.
    const connection = await Promise.race([connecting, delay(CONNECT_MS_MAX, undefined, { ref: false })])
    if (!connection) throw Object.assign(new Error('no NATS'), { code: 'NATS_UNAVAILABLE' })
    try {
      const { name, bytes, manifest, removed } = await backUp({ connection, directory: settings.BACKUP_DIRECTORY, bookFile: settings.BOOK_FILE, mac: createMac(settings.LEDGER_KEYS), now: () => new Date() })
      const messages = manifest.streams.reduce((sum, stream) => sum + stream.messages, 0)
      print(`✓ ${join(settings.BACKUP_DIRECTORY, name)}: ${messages} messages of ${manifest.streams.length} streams, ${manifest.book?.claims ?? 0} claims, ${bytes} bytes; restored and compared`)
      if (removed.length > 0) print(`  removed: ${removed.join(', ')}`)
    } finally {
      await connection.close()
    }
  } catch (error) {
    print(`✗ ${wordsOf(error)}`)
    code = 1
  }
  if (settings.BACKUP_METRICS_FILE !== undefined) await writeTextfile(registry, settings.BACKUP_METRICS_FILE)
  return code
}

async function forEver (settings: Settings, everyMs: number): Promise<void> {
  const stopping = new AbortController()
  process.on('SIGTERM', () => { stopping.abort() }).on('SIGINT', () => { stopping.abort() })
  await serveHealth({ host: settings.HEALTH_HOST, port: settings.HEALTH_PORT, metrics: { registry: createBackupMetrics(settings.BACKUP_DIRECTORY) }, checks: {} })
  while (!stopping.signal.aborted) {
    await once(settings)
    await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => {})
  }
}

async function main (args: readonly string[]): Promise<number> {
  const [, hours] = args[0] === '--every' ? EVERY.exec(args[1] ?? '') ?? [] : []
  if (args.length > 0 && (hours === undefined || args.length > 2)) {
    print('Usage: scripts/backup [--every 6h]')
    return 64
  }
  return await withSettings(Settings, process.env, print, async (settings) => {
    if (hours === undefined) return await once(settings)
    await forEver(settings, Number(hours) * HOUR_MS)
    return 0
  })
}

process.exit(await main(process.argv.slice(2)))
