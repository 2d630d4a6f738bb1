// What holds for all claims: the brake on deletions, whether new claims are taken, and whether the bot sees the group.
import type { Static } from 'typebox'
import { closeClaims, getBrake, openClaims, rosterSummary, setBrake } from '../../contracts/requests.ts'
import type { Bus } from '../../services/common/bus.ts'
import { asOperator } from './operator.ts'
import { reasoned, json } from './options.ts'
import { command, EXIT, type Command } from './program.ts'
import { distanceText, momentText } from './times.ts'

type Brake = Static<typeof getBrake.answer>

function brakeText ({ tripped, tripped_at: at, reason, releases_at: until }: Brake): string {
  if (!tripped) return 'The brake is off: deletions go their way, each after a look at the group.'
  return `The brake is on since ${at === null ? 'an unknown time' : momentText(at)} (${reason ?? 'no reason is known'}): all deletions wait${until === null ? '' : `, until ${momentText(until)} at most`}.`
}

export const brake = command({
  name: 'brake', summary: 'whether the brake is on, which holds all deletions', options: json, exits: {},
  run: async (call) => await asOperator(call, async (bus) => {
    const answer = await bus.request(getBrake, {})
    call.tell({ ...answer }, brakeText(answer))
    return EXIT.done
  }),
})

/** The reaper has no word for trying it out, so then it is asked how the brake is. On again is not `already`: it gives another 24 hours. */
async function brakeTo (bus: Pick<Bus, 'request'>, tripped: boolean, word: { by: string, why: string }, isDry: boolean): Promise<{ outcome: 'done' | 'already', state: Brake }> {
  const before = await bus.request(getBrake, {})
  const outcome = !tripped && !before.tripped ? 'already' : 'done'
  return { outcome, state: isDry ? before : await bus.request(setBrake, { tripped, ...word }) }
}

const setting = (name: string, summary: string, tripped: boolean): Command => command({
  name, summary, options: reasoned, exits: {},
  run: async (call) => await asOperator(call, async (bus) => {
    const { options: { why, by = call.login, 'dry-run': isDry } } = call
    const { outcome, state } = await brakeTo(bus, tripped, { by, why }, isDry)
    const would = outcome === 'already' ? 'It is off already.' : `Would be done: the brake is ${tripped ? 'put on for 24 hours' : 'released'}. Nothing was changed.`
    call.tell({ ...state, outcome, dry_run: isDry }, isDry ? would : brakeText(state))
    return EXIT.done
  }),
})

export const setBrakeOn = setting('set-brake', 'all deletions wait for 24 hours, or until the brake is released; claims go on', true)
export const releaseBrake = setting('release-brake', 'deletions go on, each after a look at the group', false)

const door = (request: typeof closeClaims, name: string, summary: string, clause: string): Command => command({
  name, summary, options: reasoned, exits: {},
  run: async (call) => await asOperator(call, async (bus) => {
    const { options: { why, by = call.login, 'dry-run': isDry } } = call
    const { outcome } = await bus.request(request, { by, why, ...(isDry ? { dry_run: true } : {}) })
    call.tell({ ok: true, outcome, dry_run: isDry }, outcome === 'already' ? `So already: ${clause}.` : isDry ? `Would be done: ${clause}. Nothing was changed.` : `Done: ${clause}.`)
    return EXIT.done
  }),
})

export const close = door(closeClaims, 'close-claims', 'no new claims are taken, over restarts; those that were taken go on', 'new claims are told CLAIMS_CLOSED')
export const open = door(openClaims, 'open-claims', 'new claims are taken again', 'new claims are taken')

export const roster = command({
  name: 'roster', summary: 'whether the bot can tell who is in the group', options: json, exits: { [EXIT.no]: 'it cannot' },
  run: async (call) => await asOperator(call, async (bus) => {
    const answer = await bus.request(rosterSummary, {})
    const { state, size, seen_at: seenAt, connection } = answer
    const seen = seenAt === null ? 'never read' : `last read ${distanceText(Date.parse(seenAt), bus.clock.now().getTime())}`
    call.tell({ ...answer }, state === 'known' ? `The bot knows who is in the group: ${size} people, ${seen}; WhatsApp: ${connection}.` : `The bot cannot tell who is in the group: ${seen}; WhatsApp: ${connection}. Nothing is deleted, and nobody can claim.`)
    return state === 'known' ? EXIT.done : EXIT.no
  }),
})
