// Drills one after another on one system.
import { rmSync } from 'node:fs'
import { carryOut, quiet, type Drill, type Outcome } from './drill.ts'
import { startField } from './field.ts'

export interface RunOptions {
  readonly directory: string
  readonly factor: number
  /** Told how each went, as soon as that is known. */
  readonly say?: (outcome: Outcome) => void
}

/** The directory is removed where nothing went wrong. */
export async function runDrills (drills: readonly Drill[], { directory, factor, say = () => {} }: RunOptions): Promise<Outcome[]> {
  const field = await startField(directory, { factor })
  const lingering: Array<Promise<Outcome>> = []
  const outcomes: Outcome[] = []
  const ended = (outcome: Outcome): void => {
    outcomes.push(outcome)
    say(outcome)
  }
  try {
    for (const together of sets(drills)) {
      for (const { drill, over } of await Promise.all(together.map(async (drill) => ({ drill, ...await carryOut(field, drill) })))) {
        if (drill.lingers) lingering.push(over)
        else ended(await over)
      }
      await quiet(field)
    }
    for (const over of lingering) ended(await over)
  } finally {
    await field.close()
  }
  if (outcomes.every(({ problems }) => problems.length === 0)) rmSync(directory, { recursive: true, force: true })
  return outcomes
}

/** One after another, but those that may be held at once together. */
function sets (drills: readonly Drill[]): Drill[][] {
  const first = drills.find(({ meanwhile }) => meanwhile)
  return drills.filter((drill) => !drill.meanwhile || drill === first).map((drill) => drill === first ? drills.filter(({ meanwhile }) => meanwhile) : [drill])
}
