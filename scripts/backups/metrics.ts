// How backups are doing, in Prometheus' text. All of it is read from the directory, so it is true whoever made them, and still there when this
// process is not: as a file for node_exporter's textfile collector, and over HTTP where backups are made in a loop.
import { chmod, readdir, rename, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Gauge, Registry } from 'prom-client'
import { foundOf } from './retention.ts'

export function createBackupMetrics (directory: string): Registry {
  const registry = new Registry()
  const look = async () => {
    const found = (await readdir(directory).catch(() => [])).map(foundOf).filter((one) => one !== null)
    const newest = (isVerified: boolean) => found.filter((one) => one.isVerified === isVerified).toSorted((a, b) => b.at.getTime() - a.at.getTime())[0]
    return { found, verified: newest(true), failed: newest(false) }
  }
  // As times and not as ages: a file that nobody writes any more must not stay young.
  registry.registerMetric(new Gauge({ name: 'klaim_backup_verified_timestamp_seconds', help: 'When the newest verified backup was made; 0: there is none', registers: [], async collect () { this.set(((await look()).verified?.at.getTime() ?? 0) / 1_000) } }))
  registry.registerMetric(new Gauge({ name: 'klaim_backup_failed_timestamp_seconds', help: 'When the newest backup was made that failed its verification; 0: there is none', registers: [], async collect () { this.set(((await look()).failed?.at.getTime() ?? 0) / 1_000) } }))
  registry.registerMetric(new Gauge({ name: 'klaim_backup_bytes', help: 'Size of the newest verified backup', registers: [], async collect () {
    const { verified } = await look()
    this.set(verified ? (await stat(join(directory, verified.name))).size : 0)
  } }))
  registry.registerMetric(new Gauge({ name: 'klaim_backups', help: 'How many backups are kept', labelNames: ['verified'] as const, registers: [], async collect () {
    const { found } = await look()
    for (const isVerified of [true, false]) this.set({ verified: String(isVerified) }, found.filter((one) => one.isVerified === isVerified).length)
  } }))
  return registry
}

/** In one piece, as the textfile collector wants it; others may read it, as it says nothing of anybody. */
export async function writeTextfile (registry: Registry, path: string): Promise<void> {
  const aside = join(dirname(path), `.${basename(path)}.new`)
  await writeFile(aside, await registry.metrics())
  await chmod(aside, 0o644)
  await rename(aside, path)
}
