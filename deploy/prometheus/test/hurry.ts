// Rules and routes as they stand in this repository, in a hurry: every time that they wait or look back is divided by one factor, and nothing else is
// touched. That is `for:`, the range in brackets, `offset`, how far predict_linear() looks ahead, the intervals of Alertmanager, and ages that are compared
// with. What is not a wait stays: the 3 s of the API, the 30 s of a clock, the two minutes of a claim, every number and every share.

/** In milliseconds, by Prometheus' own letters. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

const DURATION = /^(?:\d+(?:ms|[smhdw]))+$/

/** `1h30m` in milliseconds. Throws where it is no duration. */
export function msOf (duration: string): number {
  if (!DURATION.test(duration)) throw new Error(`${duration} is no duration`)
  return [...duration.matchAll(/(\d+)(ms|[smhdw])/g)].reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNITS[unit] ?? Number.NaN), 0)
}

/** Nothing stays nothing, and something does not become it. */
function writtenOf (ms: number): string {
  const whole = ms === 0 ? 0 : Math.max(1, Math.round(ms))
  return whole % 1_000 === 0 ? `${whole / 1_000}s` : `${whole}ms`
}

/** What is compared with an age in seconds, up to the number; and the number, as it is written. */
const AGE = /((?:_(?:oldest|oldest_age|overdue)_seconds(?:\{[^}]*\})?\)|time\(\) - max\((?:\w+|max_over_time\(\w+\[\w+\]\) > 0)\)) [<>] )(\d+(?: \* \d+)?)/g
const AHEAD = /(predict_linear\([^,()]+, )(\d+(?: \* \d+)?)(?=\))/g
const WAIT = /\b((?:for|group_wait|group_interval|repeat_interval): )(\S+)/g
const RANGE = /(\[|\boffset )(\w+)/g

export function hurried (text: string, factor: number): string {
  if (factor === 1) return text
  const divided = (all: string, before: string, duration: string): string => DURATION.test(duration) ? before + writtenOf(msOf(duration) / factor) : all
  return text.split('\n').map((line) => /^\s*#/.test(line)
    ? line
    : line.replace(WAIT, divided).replace(RANGE, divided).replace(AGE, `$1$2 / ${factor}`).replace(AHEAD, `$1$2 / ${factor}`)).join('\n')
}
