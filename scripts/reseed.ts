// scripts/reseed: says what making the ledger anew from the book would do, and does it. How is in scripts/reseeding/.
import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Type, type Static } from 'typebox'
import { Config as ClaimStoreConfig } from '../services/claim-store/config.ts'
import { createMac } from '../services/claim-store/mac.ts'
import { connectNats, NatsConfig, natsOf } from '../services/common/connect.ts'
import { createMetrics } from '../services/common/metrics.ts'
import { Config as ProvisionerConfig } from '../services/provisioner/config.ts'
import { createPanelBudget } from '../services/provisioner/panel-budget.ts'
import { createPanelClient } from '../services/provisioner/panel-client.ts'
import { createPterodactyl } from '../services/provisioner/pterodactyl.ts'
import { wordsOf } from './backups/backup.ts'
import { newestOf } from './backups/retention.ts'
import { withSettings } from './operating/settings.ts'
import { RekeyRefused } from './rekey/step.ts'
import { reseed, survey, type Survey } from './reseeding/reseed.ts'

const { MEMBER_ID_KEY, LEDGER_KEYS } = ClaimStoreConfig.properties
const { PANEL_URL, PANEL_KEY, CLAIM_EMAIL_DOMAIN } = ProvisionerConfig.properties
const Settings = Type.Object({
  ...NatsConfig, MEMBER_ID_KEY, LEDGER_KEYS, PANEL_URL, PANEL_KEY, CLAIM_EMAIL_DOMAIN, NATS_REPLICAS: Type.Integer({ minimum: 1, maximum: 5, default: 1 }),
  BACKUP_DIRECTORY: Type.Optional(Type.String({ minLength: 1 })),
})
const PATIENCE_MS = 60_000
const CLAIMS_SHOWN_MAX = 200

const print = (line: string): void => { process.stdout.write(`${line}\n`) }

function argumentsOf (args: readonly string[]): { path: string, apply: boolean } | null {
  try {
    const { values, positionals: [path, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options: { apply: { type: 'boolean', default: false } } })
    return path === undefined || more.length > 0 ? null : { path: resolve(path), apply: values.apply }
  } catch {
    return null
  }
}

function describe ({ book, claims, done, there, unsent }: Survey): void {
  const counted = [...Map.groupBy(claims, ({ as }) => as)].map(([as, those]) => `${those.length} ${as}`).join(', ')
  print(`Book of ${book.written_at ?? 'an unknown time'}, up to ${book.sequence}: ${claims.length} claims, to be restored as ${counted || 'nothing'}.`)
  print(`CLAIMS ${there === null ? 'is not there' : done > 0 ? `holds ${done} events of an earlier run, which this one goes on from` : 'is empty'}.`)
  const shown = (title: string, those: Survey['claims']): void => {
    if (those.length === 0) return
    print(`${those.length} ${title}:`)
    for (const { entry, as } of those.slice(0, CLAIMS_SHOWN_MAX)) print(`  ${entry.claim_id} ${entry.status} → ${as}`)
  }
  shown('claims of which the rest is removed from the panel', claims.filter(({ clears }) => clears))
  shown('claims whose member never got a login: send one after the start (RUNBOOK.md, "A login did not arrive")', claims.filter(({ needsLogin }) => needsLogin))
  if (unsent > 0) print(`${unsent} notices were not sent yet. What led to them is lost, so they become dead letters (CAUSE_UNKNOWN): discard them.`)
}

/** Which of the two knows more. */
async function compare (directory: string, { book }: Survey): Promise<void> {
  const newest = newestOf(await readdir(directory).catch((): string[] => []))
  if (!newest) print(`There is no backup in ${directory}.`)
  else if (book.written_at === undefined || newest.at.toISOString() >= book.written_at) print(`The newest backup, ${newest.name}, is not older than the book: restore it instead.`)
  else print(`The newest backup, ${newest.name}, is older than the book, by ${Math.ceil((Date.parse(book.written_at) - newest.at.getTime()) / 60_000)} min: RUNBOOK.md says which to take.`)
}

async function carryOut (given: { path: string, apply: boolean }, settings: Readonly<Static<typeof Settings>>): Promise<number> {
  const connection = await connectNats(natsOf(settings), 'operator')
  const budget = createPanelBudget({ concurrency: { server: 1, other: 2 }, windowMs: 60_000, patienceMs: PATIENCE_MS, now: Date.now })
  const client = createPanelClient({
    url: settings.PANEL_URL, key: settings.PANEL_KEY, budget, readTimeoutMs: 10_000, writeTimeoutMs: 30_000, registry: createMetrics('operator').registry, stopCalls: new AbortController().signal,
  })
  const panel = createPterodactyl(client)
  const options = {
    connection, panel, path: given.path, mac: createMac(settings.LEDGER_KEYS), memberIdKey: settings.MEMBER_ID_KEY, emailDomain: settings.CLAIM_EMAIL_DOMAIN, replicas: settings.NATS_REPLICAS,
    now: () => new Date(),
  }
  try {
    const found = given.apply ? await reseed(options, async () => {}) : await survey(options)
    describe(found)
    if (given.apply) {
      print(`✓ ${found.claims.length} claims are in the ledger again. Start the services.`)
    } else {
      if (settings.BACKUP_DIRECTORY !== undefined) await compare(settings.BACKUP_DIRECTORY, found)
      print(`Nothing was changed. scripts/reseed ${given.path} --apply does it.`)
    }
    return 0
  } catch (error) {
    print(`✗ ${error instanceof RekeyRefused ? error.message : wordsOf(error)}`)
    return 1
  } finally {
    await panel.close()
    await connection.close()
  }
}

async function main (args: readonly string[]): Promise<number> {
  const given = argumentsOf(args)
  if (!given) {
    print('Usage: scripts/reseed BOOK [--apply]')
    return 64
  }
  return await withSettings(Settings, process.env, print, async (settings) => await carryOut(given, settings))
}

process.exitCode = await main(process.argv.slice(2))
