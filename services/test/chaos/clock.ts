// For `node --import`: the wall clock of this process is wrong by as many milliseconds as CHAOS_CLOCK_FILE says. Timers and performance.now() go on
// as they do when an administrator or NTP sets a clock.
import { readFileSync } from 'node:fs'
import process from 'node:process'

const LOOK_EVERY_MS = 50
const path = process.env['CHAOS_CLOCK_FILE']
const RealDate = Date
let offsetMs = 0

function look (): void {
  try {
    offsetMs = Number(readFileSync(path ?? '', 'utf8')) || 0
  } catch {
    offsetMs = 0
  }
}

class WrongDate extends RealDate {
  constructor (...given: unknown[]) {
    // The overloads of Date are not a tuple that could be spread.
    super(...(given.length === 0 ? [RealDate.now() + offsetMs] : given) as [number])
  }

  static override now (): number {
    return RealDate.now() + offsetMs
  }
}

if (path) {
  look()
  setInterval(look, LOOK_EVERY_MS).unref()
  globalThis.Date = WrongDate as DateConstructor
}
