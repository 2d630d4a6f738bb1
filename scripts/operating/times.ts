// Times as people read them.

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000] as const

/** Two units at most: `12.3 s`, `4 min 12 s`, `3 h 5 min`, `12 d 4 h`. Whole below a tenth of a second. */
export function spanText (ms: number): string {
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`
  const [[large, largeMs], [small, smallMs]] = ms < HOUR ? [['min', MINUTE], ['s', SECOND]] as const : ms < DAY ? [['h', HOUR], ['min', MINUTE]] as const : [['d', DAY], ['h', HOUR]] as const
  return `${Math.floor(ms / largeMs)} ${large} ${Math.floor(ms % largeMs / smallMs)} ${small}`
}

/** `in 3 h 5 min`, `2 min 0 s ago`. */
export const distanceText = (at: number, now: number): string => at > now ? `in ${spanText(at - now)}` : `${spanText(now - at)} ago`

/** To the second, in UTC: `2026-10-04 08:00:09 UTC`. */
export const momentText = (at: Date | string): string => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`
