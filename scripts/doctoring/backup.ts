// A backup that was restored is there, and not older than one that was missed.
import { readdir, readFile } from 'node:fs/promises'
import { foundOf, newestOf, type Found } from '../backups/retention.ts'
import { defineCheck, no, ok, Unseen, type Finding } from './check.ts'

const HOUR_MS = 3_600_000
/** One is made every 6 h. */
const AGE_MS_MAX = 7 * HOUR_MS
const TODO = 'scripts/backup, and the timer that runs it every 6 h'
const METRIC = /^klaim_backup_verified_timestamp_seconds(?:\{[^}]*\})? ([\d.e+]+)$/m

export const backup = defineCheck('backup', ['BACKUP_DIRECTORY'], async ({ now, settings: { BACKUP_METRICS_FILE } }, { BACKUP_DIRECTORY }) => {
  const names = await readdir(BACKUP_DIRECTORY).catch((error: NodeJS.ErrnoException) => { throw new Unseen(`${BACKUP_DIRECTORY} cannot be read (${error.code ?? 'unknown'})`) })
  const metrics = BACKUP_METRICS_FILE === undefined ? undefined : await readFile(BACKUP_METRICS_FILE, 'utf8').catch(() => '')
  return judgeBackups(names, now(), metrics)
})

/** `metrics`: what the alarm goes by, as text; empty where it cannot be read, undefined where there is no such file meant to be. */
export function judgeBackups (names: readonly string[], now: Date, metrics: string | undefined): Finding {
  const newest = newestOf(names)
  if (!newest) return no('there is no verified backup', TODO)
  const ageMs = now.getTime() - newest.at.getTime()
  const failed = names.map(foundOf).filter((one): one is Found => one !== null && !one.isVerified && one.at > newest.at)
  if (failed.length > 0) return no(`the last backup failed its verification (${failed.at(-1)?.name ?? ''})`, 'scripts/backup says why; BACKUP_DIFFERS')
  if (ageMs > AGE_MS_MAX) return no(`the newest verified backup is ${hours(ageMs)} h old`, TODO)
  const told = METRIC.exec(metrics ?? '')?.[1]
  if (metrics !== undefined && Number(told ?? 0) * 1_000 < newest.at.getTime()) return no('BACKUP_METRICS_FILE does not know of the newest backup, so the alarm sees none', 'give scripts/backup the same BACKUP_METRICS_FILE')
  return ok(`the newest verified backup is ${hours(ageMs)} h old`)
}

const hours = (ms: number): string => (ms / HOUR_MS).toFixed(1)
