// scripts/restore: says what restoring a backup would do, and does it. How is in scripts/backups/restore.ts.
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Type, type Static } from 'typebox'
import { Config as ClaimStoreConfig } from '../services/claim-store/config.ts'
import { connectNats, NatsConfig, natsOf } from '../services/common/connect.ts'
import { wordsOf } from './backups/backup.ts'
import { restore, survey, type Survey } from './backups/restore.ts'
import { withSettings } from './operating/settings.ts'

const Settings = Type.Object({ ...NatsConfig, BOOK_FILE: ClaimStoreConfig.properties.BOOK_FILE, NATS_REPLICAS: Type.Integer({ minimum: 1, maximum: 5, default: 1 }) })
const UNKNOWN_SHOWN_MAX = 200

const print = (line: string): void => { process.stdout.write(`${line}\n`) }

function argumentsOf (args: readonly string[]): { path: string, apply: boolean, overwriting: string | undefined } | null {
  try {
    const { values, positionals: [path, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options: { apply: { type: 'boolean', default: false }, overwriting: { type: 'string' } } })
    return path === undefined || more.length > 0 || (values.overwriting !== undefined && !values.apply) ? null : { path: resolve(path), apply: values.apply, overwriting: values.overwriting }
  } catch {
    return null
  }
}

function describe ({ manifest, streams, hasSession, unknown }: Survey): void {
  print(`Backup of ${manifest.created_at}, book ${manifest.book ? `with ${manifest.book.claims} claims` : 'absent'}; every checksum is right.`)
  for (const { name, there, restored } of streams) {
    print(`  ${name.padEnd(16)} ${there ? `${there.messages} messages to ${there.last}` : 'is not there'} → ${restored ? `${restored.messages} messages to ${restored.last}` : 'empty'}`)
  }
  if (!hasSession) print('The bot has no session any more: link it anew after it has started.')
  if (unknown.length === 0) return
  print(`${unknown.length} claims stand in today's book and not in the backup. Look at their servers on the panel (RUNBOOK.md, "After a restore"):`)
  for (const { claim_id, status, server_id } of unknown.slice(0, UNKNOWN_SHOWN_MAX)) print(`  ${claim_id} ${status} server ${server_id ?? 'unknown'}`)
}

async function main (args: readonly string[]): Promise<number> {
  const given = argumentsOf(args)
  if (!given) {
    print('Usage: scripts/restore FILE [--apply [--overwriting CODE]]')
    return 64
  }
  return await withSettings(Settings, process.env, print, async (settings) => await carryOut(given, settings))
}

async function carryOut (given: NonNullable<ReturnType<typeof argumentsOf>>, settings: Readonly<Static<typeof Settings>>): Promise<number> {
  const connection = await connectNats(natsOf(settings), 'operator')
  const options = { connection, path: given.path, bookFile: settings.BOOK_FILE, replicas: settings.NATS_REPLICAS, now: () => new Date() }
  try {
    if (!given.apply) {
      const found = await survey(options)
      describe(found)
      print(`Nothing was changed. scripts/restore ${given.path} --apply${found.overwriting === undefined ? '' : ` --overwriting ${found.overwriting}`} does it.`)
      return 0
    }
    const { survey: found, bookAside } = await restore(options, given.overwriting)
    describe(found)
    if (bookAside !== undefined) print(`Today's book is now ${bookAside}.`)
    print('✓ restored and compared. Start the services; claim-store writes the book anew.')
    return 0
  } catch (error) {
    print(`✗ ${wordsOf(error)}`)
    return 1
  } finally {
    await connection.close()
  }
}

process.exitCode = await main(process.argv.slice(2))
