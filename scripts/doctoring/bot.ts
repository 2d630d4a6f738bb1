// The bot: linked to its account, and able to say who is in the group.
import type { Static } from 'typebox'
import { rosterSummary } from '../../contracts/requests.ts'
import { defineCheck, no, ok, type Finding } from './check.ts'

type Roster = Static<typeof rosterSummary.answer>

const OPEN = 'open'

export const botLinked = defineCheck('bot-linked', [], async (world) => judgeLinked(await (await world.bus()).request(rosterSummary, {})))

export const judgeLinked = ({ connection }: Pick<Roster, 'connection'>): Finding =>
  connection === OPEN ? ok('it is connected to WhatsApp') : no(`its connection to WhatsApp is: ${connection}`, 'RUNBOOK.md, "Link the bot"')

export const botGroup = defineCheck('bot-group', [], async (world) => judgeGroup(await (await world.bus()).request(rosterSummary, {}), world.now()))

export function judgeGroup ({ state, size, seen_at: seenAt }: Pick<Roster, 'state' | 'size' | 'seen_at'>, now: Date): Finding {
  const people = size === 1 ? 'one person' : `${size} people`
  const seen = seenAt === null ? 'which was never read' : `read ${Math.max(0, Math.round((now.getTime() - Date.parse(seenAt)) / 1_000))} s ago`
  if (state === 'unknown') return no(`it cannot tell who is in the group (${people}, ${seen})`, 'is it in the group that GROUP_ID names? WHATSAPP_NOT_IN_GROUP; after a sudden loss of members it waits ten minutes')
  // The bot itself does not count.
  if (size === 0) return no('there is nobody in the group but the bot', 'is GROUP_ID the group that is meant?')
  return ok(`${people} in the group, ${seen}`)
}
