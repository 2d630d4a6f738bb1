/** Everything that can be done to the double from outside, for tests in the same process and for the control API alike. */
import { banAccount, takeAccount } from './account.ts'
import { closeConnections, type CloseCode, unlink } from './closing.ts'
import type { Double } from './double.ts'
import { changeNumber, depart, join, pretendDepartures, sayGroupsDirty, setRole } from './group-events.ts'
import { defaultKnobs, type Knobs, turn } from './knobs.ts'
import { reinstall, say } from './member.ts'
import { createLinkedSession, type Linked, scan, typeCode } from './pairing.ts'
import { pushReachoutLock } from './stanzas/account.ts'
import {
  addPerson, type Addressing, botOf, type ChatMessage, type Delivery, type Group, mainGroup, type Person, personByNumber
} from './world.ts'

type NewPerson = Partial<Pick<Person, 'number' | 'name' | 'dialled' | 'isHidden' | 'isOnWhatsApp' | 'devices'>>

export interface Handle {
  /** Id of the group, `…@g.us`. */
  group: string
  /** Of the account on the bot's phone. */
  readonly botNumber: string
  /** Set fields freely; `turnKnobs` checks what it is given. */
  knobs: Knobs
  counters: Record<string, number>
  /** What went wrong in the double itself, or in a client's protocol. */
  faults: readonly string[]
  onFault: (listener: (error: unknown) => void) => void
  turnKnobs: (wanted: Record<string, unknown>) => void
  resetKnobs: () => void
  people: () => Person[]
  /** By number; throws for a number nobody has. */
  person: (number: string) => Person
  groups: () => Group[]
  isMember: (number: string, group?: string) => boolean
  addPerson: (given?: NewPerson & { inGroup?: boolean }) => Person
  addGroup: (id: string, subject: string, addressing?: Addressing) => Group
  setAddressing: (addressing: Addressing, group?: string) => void
  /** Group changes answer false when there was nothing to change. The bot's number works too. */
  join: (number: string, how?: 'invite' | 'admin', group?: string) => boolean
  leave: (number: string, group?: string) => boolean
  remove: (numbers: string | string[], group?: string) => boolean
  promote: (number: string, group?: string) => boolean
  demote: (number: string, group?: string) => boolean
  changeNumber: (number: string, newNumber: string) => void
  /** Leave notifications about people who stay. */
  pretendDepartures: (numbers: string[], addressing?: Addressing, group?: string) => void
  sayGroupsDirty: () => void
  pushReachoutLock: () => void
  /** The person writes to the bot; gives the message id. */
  say: (number: string, text: string) => Promise<string>
  reinstall: (number: string) => void
  /** The chat as the person sees it: one message per id. */
  chat: (who: string | Person) => ChatMessage[]
  /** Every copy that came over the wire, oldest first; with a number, those of that chat. */
  deliveries: (number?: string) => Delivery[]
  /** WhatsApp bans the account on the bot's phone. */
  ban: () => void
  /** The phone takes the account of this person, who need not be known yet. */
  takeAccount: (number: string) => void
  /** The phone logs a linked device out. */
  unlink: (device: number) => void
  createLinkedSession: (options?: { preKeys?: 'claimed' | 'none' }) => string
  scan: (qr: string) => Linked
  typeCode: (code: string) => Promise<Linked>
  closeConnections: (code: CloseCode) => void
  /** Devices that are logged in now. */
  connected: () => { device: number, openedAt: number }[]
  linked: () => { device: number, queued: number }[]
  /** Resolves when everything done so far is in the state file. */
  saved: () => Promise<void>
  /** Waits until something is so, looking again after each change; rejects with `what` after 10 s or the time given. */
  until: (what: string, isSo: () => boolean, timeoutMs?: number) => Promise<void>
}

export function createHandle (double: Double): Handle {
  const { world, knobs } = double

  function person (number: string): Person {
    const found = personByNumber(world, number)
    if (!found) throw new Error('nobody has this number')
    return found
  }
  function group (id: string): Group {
    const found = world.groups.find((group) => group.id === id)
    if (!found) throw new Error('no such group')
    return found
  }
  return {
    group: mainGroup,
    get botNumber () { return botOf(world).number },
    knobs,
    counters: double.counters,
    faults: double.faults,
    onFault: (listener) => { double.events.on('fault', listener) },
    turnKnobs (wanted) {
      turn(knobs, wanted)
      double.changed()
    },
    resetKnobs () {
      Object.assign(knobs, defaultKnobs)
      double.changed()
    },
    people: () => world.people,
    person,
    groups: () => world.groups,
    isMember: (number, id = mainGroup) => person(number).lid in group(id).members,
    addPerson ({ inGroup = false, ...given } = {}) {
      const added = addPerson(world, given)
      if (inGroup) join(double, group(mainGroup), added)
      double.changed()
      return added
    },
    addGroup (id, subject, addressing = 'lid') {
      if (world.groups.some((group) => group.id === id)) throw new Error('group exists')
      const { owner } = group(mainGroup)
      const added: Group = { id, subject, addressing, createdAt: Date.now(), owner, members: { [owner]: 'superadmin', [world.bot]: 'member' } }
      world.groups.push(added)
      double.changed()
      return added
    },
    setAddressing (addressing, id = mainGroup) {
      group(id).addressing = addressing
      double.changed()
    },
    join: (number, how, id = mainGroup) => join(double, group(id), person(number), how),
    leave: (number, id = mainGroup) => depart(double, group(id), [person(number)], 'self'),
    remove: (numbers, id = mainGroup) => depart(double, group(id), [numbers].flat().map(person), 'admin'),
    promote: (number, id = mainGroup) => setRole(double, group(id), person(number), 'admin'),
    demote: (number, id = mainGroup) => setRole(double, group(id), person(number), 'member'),
    changeNumber (number, newNumber) {
      if (personByNumber(world, newNumber)) throw new Error('number is taken')
      changeNumber(double, person(number), newNumber)
      double.changed()
    },
    pretendDepartures: (numbers, addressing, id = mainGroup) => { pretendDepartures(double, group(id), numbers.map(person), addressing) },
    sayGroupsDirty: () => { sayGroupsDirty(double) },
    pushReachoutLock: () => { pushReachoutLock(double) },
    say: (number, text) => say(double, person(number), text),
    reinstall: (number) => { reinstall(double, person(number)) },
    chat: (who) => world.chats[typeof who === 'string' ? person(who).lid : who.lid] ?? [],
    deliveries: (number) => number === undefined ? world.deliveries : world.deliveries.filter(({ to }) => to === person(number).number),
    createLinkedSession: (options) => createLinkedSession(double, options),
    ban: () => { banAccount(double) },
    takeAccount: (number) => { takeAccount(double, personByNumber(world, number) ?? addPerson(world, { number, name: 'Bot' })) },
    unlink: (device) => { unlink(double, device) },
    scan: (qr) => scan(double, qr),
    typeCode: (code) => typeCode(double, code),
    closeConnections: (code) => { closeConnections(double, code) },
    connected: () => [...double.connections].flatMap(({ companion, openedAt }) => companion ? [{ device: companion.device, openedAt }] : []),
    linked: () => world.companions.map(({ device, queue }) => ({ device, queued: queue.length })),
    saved: () => double.save(),
    until: (what, isSo, timeoutMs = 10_000) => until(double, what, isSo, timeoutMs)
  }
}

function until (double: Double, what: string, isSo: () => boolean, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { done(new Error(`not within ${timeoutMs} ms: ${what}`)) }, timeoutMs)
    function look () {
      if (isSo()) done()
    }
    function done (error?: Error) {
      clearTimeout(timer)
      double.events.off('change', look)
      if (error) reject(error)
      else resolve()
    }
    double.events.on('change', look)
    look()
  })
}
