/** Group queries: who is in, as the group shows it. */
import type { Connection, Double } from '../double.ts'
import { take } from '../knobs.ts'
import { children, QueryError, seconds, stanza, type Stanza } from '../stanza.ts'
import { type Group, lidJid, type Person, phoneJid, type Role } from '../world.ts'

export function answerGroup (double: Double, _connection: Connection, query: Stanza): Stanza[] {
  const [request] = children(query)
  const refused = take(double.knobs.groupQueryError)
  if (refused) throw new QueryError(refused.code)
  const { groups, bot } = double.world
  if (request?.tag === 'participating') {
    return [stanza('groups', {}, groups.filter(({ members }) => bot in members).map((group) => groupStanza(double, group)))]
  }
  if (request?.tag !== 'query') throw new QueryError(400)
  const group = groups.find(({ id }) => id === query.attrs.to)
  if (!group) throw new QueryError(404)
  if (!(bot in group.members)) throw new QueryError(403)
  return [groupStanza(double, group)]
}

export function groupStanza (double: Double, group: Group): Stanza {
  const byLid = new Map(double.world.people.map((person) => [person.lid, person]))
  const owner = byLid.get(group.owner)
  const shown = Object.entries(group.members).slice(0, double.knobs.rosterLimit ?? undefined)
  const isLid = group.addressing === 'lid'
  return stanza('group', {
    id: group.id.split('@')[0], subject: group.subject, s_t: seconds(group.createdAt), s_o: owner && jidIn(group, owner),
    s_o_pn: isLid && owner ? phoneJid(owner) : undefined, creation: seconds(group.createdAt), creator: owner && jidIn(group, owner),
    creator_pn: isLid && owner ? phoneJid(owner) : undefined, addressing_mode: group.addressing, size: shown.length
  }, shown.flatMap(([lid, role]) => {
    const person = byLid.get(lid)
    return person ? [participant(group, person, role)] : []
  }))
}

/** A person as this group addresses them; hidden people show no number where the group goes by LID. */
export function participant (group: Group, person: Person, role: Role = 'member'): Stanza {
  const type = role === 'member' ? undefined : role
  if (group.addressing === 'pn') return stanza('participant', { jid: phoneJid(person), lid: lidJid(person), type })
  return stanza('participant', { jid: lidJid(person), phone_number: person.isHidden ? undefined : phoneJid(person), type })
}

export const jidIn = (group: Group, person: Person): string => group.addressing === 'lid' ? lidJid(person) : phoneJid(person)
