/** What happens in a group, and how WhatsApp tells the linked devices of the bot's account about it. */
import { deliver, type Double } from './double.ts'
import { seconds, serverJid, stanza, type Stanza } from './stanza.ts'
import { groupStanza, jidIn, participant } from './stanzas/group.ts'
import { type Group, type Person, personByLid, phoneJid, lidJid, type Role, stanzaId } from './world.ts'

/** Adds a person who came by the invite link, or whom the owner added. Nothing happens if they are in already. */
export function join (double: Double, group: Group, person: Person, how: 'invite' | 'admin' = 'invite'): boolean {
  if (person.lid in group.members) return false
  group.members[person.lid] = 'member'
  if (person.lid === double.world.bot) {
    notify(double, group, ownerOf(double, group), stanza('create', { type: 'new' }, [groupStanza(double, group)]))
    return true
  }
  const author = how === 'admin' ? ownerOf(double, group) : person
  notify(double, group, author, change(group, 'add', [person], how === 'invite' ? { reason: 'invite' } : {}))
  return true
}

/** Takes people out: `self` when they leave, `admin` when the owner removes them. */
export function depart (double: Double, group: Group, people: Person[], how: 'self' | 'admin'): boolean {
  const present = people.filter(({ lid }) => lid in group.members)
  const [first] = present
  if (!first) return false
  const wasBotIn = double.world.bot in group.members
  for (const { lid } of present) delete group.members[lid]
  if (wasBotIn) notify(double, group, how === 'self' ? first : ownerOf(double, group), change(group, 'remove', present), true)
  return true
}

export function setRole (double: Double, group: Group, person: Person, role: Exclude<Role, 'superadmin'>): boolean {
  if (!(person.lid in group.members) || group.members[person.lid] === role) return false
  group.members[person.lid] = role
  notify(double, group, ownerOf(double, group), change(group, role === 'admin' ? 'promote' : 'demote', [person]))
  return true
}

/** A new phone number for the same account: the LID stays, the groups hear `modify`. */
export function changeNumber (double: Double, person: Person, number: string): void {
  person.number = number
  for (const group of double.world.groups) {
    if (person.lid in group.members) notify(double, group, person, change(group, 'modify', [person]))
  }
}

/**
 * Leave notifications about people who are still in: one each, as seen on real servers during a migration of ids (330 in a burst), where
 * they named people by phone id.
 */
export function pretendDepartures (double: Double, group: Group, people: Person[], addressing = group.addressing): void {
  const said = { ...group, addressing }
  for (const person of people) notify(double, said, person, change(said, 'remove', [person]))
}

/** The hint that the device missed too much and should fetch its groups anew. */
export function sayGroupsDirty (double: Double): void {
  for (const connection of double.connections) {
    if (connection.companion) connection.send(stanza('ib', { from: serverJid }, [stanza('dirty', { type: 'groups', timestamp: seconds() })]))
  }
}

const change = (group: Group, tag: string, people: Person[], attributes = {}): Stanza =>
  stanza(tag, attributes, people.map((person) => participant(group, person)))

function ownerOf (double: Double, group: Group): Person {
  const owner = personByLid(double.world, group.owner)
  if (!owner) throw new Error('group has no owner')
  return owner
}

/** A bot that is not in the group hears nothing, but for its own removal. */
function notify (double: Double, group: Group, author: Person, what: Stanza, always = false): void {
  const { world, knobs } = double
  if ((always || world.bot in group.members) && knobs.notifications !== 'lose') {
    const isLid = group.addressing === 'lid'
    const told = stanza('notification', {
      from: group.id, type: 'w:gp2', id: stanzaId(), participant: jidIn(group, author),
      participant_pn: isLid && !author.isHidden ? phoneJid(author) : undefined, participant_lid: isLid ? undefined : lidJid(author),
      addressing_mode: group.addressing, notify: author.name, t: seconds()
    }, [what])
    for (const companion of world.companions) deliver(double, companion, told, knobs.notifications === 'hold')
  }
  double.changed()
}
