// Which backups stay: all of the last 48 hours, of the 30 days before the last one of each day (UTC), and the newest one always. Pure.
// Thirty days is what PRIVACY.md promises to those who were erased.

const HOUR_MS = 3_600_000
const ALL_MS = 48 * HOUR_MS
const DAILY_MS = 30 * 24 * HOUR_MS

export const SUFFIX = '.tar.gz'
const NAME = /^klaim-(\d{4}-\d{2}-\d{2})T(\d{2})(\d{2})(\d{2})Z\.tar\.gz(\.failed)?$/

export interface Found { readonly name: string, readonly at: Date, readonly isVerified: boolean }

export const nameOf = (at: Date): string => `klaim-${at.toISOString().slice(0, 19).replaceAll(':', '')}Z${SUFFIX}`

/** Null for what is no backup. One whose verification failed ends in `.failed`. */
export function foundOf (name: string): Found | null {
  const [, day, hour, minute, second, failed] = NAME.exec(name) ?? []
  const at = new Date(`${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(at.getTime()) ? null : { name, at, isVerified: failed === undefined }
}

/** The newest one that was verified. */
export const newestOf = (names: readonly string[]): Found | undefined => newestFirst(names).find(({ isVerified }) => isVerified)

const newestFirst = (names: readonly string[]): Found[] => names.map(foundOf).filter((one) => one !== null).toSorted((a, b) => b.at.getTime() - a.at.getTime())

/** Names of those that are to go. What failed is kept for 48 hours, for somebody to look at. */
export function outdated (names: readonly string[], now: Date): string[] {
  const found = newestFirst(names)
  const newest = newestOf(names)
  const days = new Set<string>()
  return found.filter(({ at, isVerified, name }) => {
    const ageMs = now.getTime() - at.getTime()
    if (name === newest?.name || ageMs < ALL_MS) return false
    const day = at.toISOString().slice(0, 10)
    if (!isVerified || ageMs >= DAILY_MS || days.has(day)) return true
    days.add(day)
    return false
  }).map(({ name }) => name)
}
