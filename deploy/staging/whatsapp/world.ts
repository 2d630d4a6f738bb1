/** What WhatsApp knows and does not forget: people, groups, linked devices, chats. Plain values, written to the state file as they are. */
import { randomBytes } from 'node:crypto'
import { type DeviceKeys, generateDeviceKeys } from './device.ts'
import type { Stanza } from './stanza.ts'

export type Role = 'member' | 'admin' | 'superadmin'
export type Addressing = 'lid' | 'pn'

export interface Person {
  /** Digits of the phone number, without "+". Changes when the person takes a new number. */
  number: string
  /** The user part of the person's `@lid`. Never changes. */
  lid: string
  name: string
  /** Other digits that people dial for the same account (Brazil's 9th digit and the like). */
  dialled: string[]
  /** The group shows no phone number for this person. */
  isHidden: boolean
  isOnWhatsApp: boolean
  /** Ids of this person's devices; 0 is the phone. */
  devices: number[]
  /** What the person gave the bot by writing to it, to be shown with messages to them. */
  token?: Uint8Array
  /** Keys by device id, made when first needed. */
  keys: Record<string, DeviceKeys>
}

/** A device of the bot's account that a Baileys process runs. */
export interface Companion {
  device: number
  noiseKey: Uint8Array
  registrationId: number
  identity: Uint8Array
  signedPreKey: { keyId: number, publicKey: Uint8Array, signature: Uint8Array }
  preKeys: { keyId: number, publicKey: Uint8Array }[]
  /** One-time keys the server says it has without having them: spares a test the upload of 812. */
  claimedPreKeys: number
  /** What was not yet confirmed by the client, oldest first; delivered again at the next login. */
  queue: Stanza[]
}

export interface Group {
  id: string
  subject: string
  addressing: Addressing
  createdAt: number
  owner: string
  /** By lid. */
  members: Record<string, Role>
}

export interface ChatMessage {
  id: string
  from: 'bot' | 'member'
  text: string
  at: number
}

/** One copy of a message as it came over the wire, whatever became of it. */
export interface Delivery {
  messageId: string
  at: number
  /** The chat: number of the person the message is for. */
  to: string
  /** The device that got this copy; `own` when it is the bot account's phone. */
  device: number
  own: boolean
  addressing: Addressing
  enc: 'pkmsg' | 'msg' | 'none'
  text: string
  outcome: 'read' | 'duplicate' | 'unreadable' | 'refused' | 'lost'
  error?: string
}

export interface World {
  people: Person[]
  /** lid of the bot's account. */
  bot: string
  /** lids of accounts that WhatsApp lets in no more. */
  banned: string[]
  companions: Companion[]
  groups: Group[]
  /** What each person sees in their chat with the bot, by lid. */
  chats: Record<string, ChatMessage[]>
  deliveries: Delivery[]
  nextLid: number
  nextDevice: number
}

export interface Seed {
  /** People in the group besides the bot and the owner. */
  members?: number
  /** People on WhatsApp who are not in the group. */
  outsiders?: number
  subject?: string
  addressing?: Addressing
}

export const botNumber = '6281299999990'
export const ownerNumber = '6281299999991'
export const mainGroup = '120363000000000001@g.us'
const messagesPerChatMax = 1_000
const deliveriesMax = 5_000
const peopleMax = 20_000

/** Member n has the number 62812000000nn; outsider n 62813000000nn. */
export function createWorld ({ members = 5, outsiders = 3, subject = 'Klaim', addressing = 'lid' }: Seed = {}): World {
  const world: World = {
    people: [], bot: '', banned: [], companions: [], groups: [], chats: {}, deliveries: [], nextLid: 900000000000001, nextDevice: 7
  }
  const bot = addPerson(world, { number: botNumber, name: 'Bot' })
  const owner = addPerson(world, { number: ownerNumber, name: 'Group owner' })
  world.bot = bot.lid
  const group: Group = {
    id: mainGroup, subject, addressing, createdAt: Date.now(), owner: owner.lid, members: { [owner.lid]: 'superadmin', [bot.lid]: 'member' }
  }
  world.groups.push(group)
  for (let n = 1; n <= members; n++) group.members[addPerson(world, { number: numbered('62812', n), name: `Member ${n}` }).lid] = 'member'
  for (let n = 1; n <= outsiders; n++) addPerson(world, { number: numbered('62813', n), name: `Visitor ${n}` })
  return world
}

export function addPerson (world: World, given: Partial<Omit<Person, 'lid' | 'keys' | 'token'>> = {}): Person {
  if (world.people.length >= peopleMax) throw new Error('too many people')
  const number = given.number ?? freeNumber(world)
  if (world.people.some((person) => person.number === number)) throw new Error('number is taken')
  const person: Person = {
    number, lid: String(world.nextLid++), name: `Person ${world.people.length + 1}`, dialled: [], isHidden: false, isOnWhatsApp: true,
    devices: [0], keys: {}, ...given
  }
  world.people.push(person)
  return person
}

export function personByNumber (world: World, number: string): Person | undefined {
  const digits = number.replace(/\D/g, '')
  return world.people.find((person) => person.number === digits || person.dialled.includes(digits))
}

export const personByLid = (world: World, lid: string): Person | undefined => world.people.find((person) => person.lid === lid)

/** The person behind `<digits>[:device]@s.whatsapp.net` or `<lid>[:device]@lid`. */
export function personByJid (world: World, jid: string): Person | undefined {
  const { user, server } = parseJid(jid)
  return server === 'lid' ? personByLid(world, user) : world.people.find((person) => person.number === user)
}

export function parseJid (jid: string): { user: string, device: number, server: string } {
  const [name = '', server = ''] = jid.split('@')
  const [user = '', device = '0'] = name.split(':')
  return { user, device: Number(device), server }
}

export const botOf = (world: World): Person => {
  const bot = personByLid(world, world.bot)
  if (!bot) throw new Error('state has no bot account')
  return bot
}

export const lidJid = (person: Person, device = 0): string => `${person.lid}${device ? `:${device}` : ''}@lid`
export const phoneJid = (person: Person, device = 0): string => `${person.number}${device ? `:${device}` : ''}@s.whatsapp.net`

export const deviceKeys = (person: Person, device: number): DeviceKeys => person.keys[device] ??= generateDeviceKeys()

/** Adds a message to what the person sees. A client shows one message per id, however often it comes: false for a second one. */
export function show (world: World, person: Person, message: ChatMessage): boolean {
  const chat = world.chats[person.lid] ??= []
  if (chat.some(({ id, from }) => id === message.id && from === message.from)) return false
  chat.push(message)
  if (chat.length > messagesPerChatMax) chat.shift()
  return true
}

export function record (world: World, delivery: Delivery): void {
  world.deliveries.push(delivery)
  if (world.deliveries.length > deliveriesMax) world.deliveries.shift()
}

export const hasWritten = (world: World, person: Person): boolean =>
  world.chats[person.lid]?.some(({ from }) => from === 'member') ?? false

/** Ids as phones make them. */
export const messageId = (): string => '3A' + randomBytes(9).toString('hex').toUpperCase()
export const stanzaId = (): string => String(randomBytes(6).readUIntBE(0, 6))

const numbered = (prefix: string, n: number): string => prefix + String(n).padStart(8, '0')

function freeNumber (world: World): string {
  const taken = new Set(world.people.map(({ number }) => number))
  for (let n = 1; ; n++) if (!taken.has(numbered('62814', n))) return numbered('62814', n)
}
