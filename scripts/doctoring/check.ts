// One line of the go/no-go list: what has to be known to look at it, how it is looked at, and what is thought of what was seen. The last is a pure
// function beside each check.
import type { Given, SettingName } from './settings.ts'
import type { World } from './world.ts'

export interface Finding {
  /** `unknown`: it could not be looked at, which is no reason to go. */
  readonly verdict: 'ok' | 'no' | 'unknown'
  /** One line; never somebody's number, nor a secret. */
  readonly text: string
  /** Worth knowing, and no reason to stay. */
  readonly remarks: readonly string[]
  /** For what is not well: the next thing to do. */
  readonly todo?: string
}

export interface Check {
  /** Parts that belong together have the same word before the dash: `panel-key`, `panel-nodes`. */
  readonly name: string
  readonly needs: readonly SettingName[]
  /** Throws Unseen where it cannot be looked at. */
  look (world: World): Promise<Finding>
}

/** It could not be looked at, for this reason. */
export class Unseen extends Error {
  override readonly name = 'Unseen'
  readonly todo: string | undefined

  constructor (text: string, todo?: string) {
    super(text)
    this.todo = todo
  }
}

const LISTED_MAX = 5

export const ok = (text: string, remarks: readonly string[] = []): Finding => ({ verdict: 'ok', text, remarks })
export const no = (text: string, todo: string, remarks: readonly string[] = []): Finding => ({ verdict: 'no', text, remarks, todo })

/** A judgement of many: what is wrong with them, or that nothing is. */
export const verdictOf = (wrong: readonly string[], fine: string, todo: string, remarks: readonly string[] = []): Finding =>
  wrong.length === 0 ? ok(fine, remarks) : no(listed(wrong), todo, remarks)

/** The first of them, and how many there are besides. */
export const listed = (all: readonly string[]): string =>
  all.length <= LISTED_MAX ? all.join('; ') : `${all.slice(0, LISTED_MAX).join('; ')}; and ${all.length - LISTED_MAX} more`

export const anchorOf = (name: string): string => `RUNBOOK.md#doctor-${name}`

export function defineCheck<const Needs extends readonly SettingName[]> (name: string, needs: Needs, look: (world: World, given: Given<Needs>) => Promise<Finding>): Check {
  // Whoever runs checks runs only those whose needs are given.
  return { name, needs, look: async (world) => await look(world, world.settings as Given<Needs>) }
}
