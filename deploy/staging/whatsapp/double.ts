/** What the parts of the double share: the world, the knobs, the open connections and the counters. */
import { EventEmitter } from 'node:events'
import { createDevice, type Device } from './device.ts'
import { defaultKnobs, type Knobs } from './knobs.ts'
import { children, type Stanza } from './stanza.ts'
import { openState } from './state-file.ts'
import { type Companion, deviceKeys, type Person, type Seed, type World } from './world.ts'

export interface Connection {
  /** Set when a linked device has logged in. */
  companion?: Companion
  /** Set while a device that is not linked yet shows its QR code. */
  registration?: Registration
  openedAt: number
  /** Once true, nothing more is sent: the client is to notice by itself. */
  isSilent: boolean
  send: (stanza: Stanza) => void
  /** Sends a last stanza, if any, and closes. */
  end: (last?: Stanza) => void
  /** Cuts the TCP connection without a word. */
  cut: () => void
}

/** What a device that wants to be linked has told so far. */
export interface Registration {
  refs: string[]
  noiseKey: Uint8Array
  registrationId: number
  identity: Uint8Array
  signedPreKey: Companion['signedPreKey']
  /** The secret of a QR code that was refused until the registration is refreshed. */
  staleSecret?: string
  hello?: { wrappedEphemeral: Uint8Array, ref: Buffer }
  finish?: (bundle: { wrapped: Buffer, identity: Buffer }) => void
  /** The device that is being linked, until it has signed. */
  linking?: Companion
}

export interface Double {
  world: World
  knobs: Knobs
  connections: Set<Connection>
  /** Stanzas received from clients, by kind. */
  counters: Record<string, number>
  /** Emits `change` after anything happened. */
  events: EventEmitter
  /** What went wrong in the double itself or with a client's protocol, newest last. */
  faults: string[]
  /** Resolves when the world as it is now is kept; an answer that promises something waits for this. */
  save: () => Promise<void>
  /** The world changed: it will be kept soon. */
  changed: () => void
  /** Something happened that need not be kept. */
  noticed: () => void
  failed: (error: unknown) => void
  device: (person: Person, id?: number) => Device
  /** Runs later, unless the double stops before. */
  later: (delayMs: number, work: () => void) => void
  stop: () => void
}

const faultsMax = 100
/** A burst of changes costs one write. */
const saveDelayMs = 100

export function createDouble (seed: Seed, stateFile?: string): Double {
  const { world, save } = openState(stateFile, seed)
  const events = new EventEmitter().setMaxListeners(0)
  const devices = new Map<object, Device>()
  const timers = new Set<NodeJS.Timeout>()
  const faults: string[] = []
  let saving: NodeJS.Timeout | undefined

  function failed (error: unknown) {
    faults.push(error instanceof Error ? error.stack ?? error.message : String(error))
    if (faults.length > faultsMax) faults.shift()
    events.emit('fault', error)
  }
  function saveSoon () {
    saving = undefined
    save().catch(failed)
  }
  return {
    world,
    knobs: { ...defaultKnobs },
    connections: new Set(),
    counters: {},
    events,
    faults,
    save,
    changed () {
      events.emit('change')
      saving ??= setTimeout(saveSoon, saveDelayMs)
    },
    noticed () { events.emit('change') },
    failed,
    device (person, id = 0) {
      const keys = deviceKeys(person, id)
      const device = devices.get(keys) ?? createDevice(keys)
      devices.set(keys, device)
      return device
    },
    later (delayMs, work) {
      if (delayMs <= 0) return work()
      const timer = setTimeout(() => {
        timers.delete(timer)
        work()
      }, delayMs)
      timers.add(timer)
    },
    stop () {
      clearTimeout(saving)
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
    }
  }
}

/** The connection on which a linked device is logged in. */
export const connectionOf = (double: Double, companion: Companion): Connection | undefined =>
  [...double.connections].find((connection) => connection.companion === companion)

const queueMax = 10_000

/**
 * Sends a stanza to every linked device of the bot's account, now or at its next login, until the client has confirmed it. `hold` leaves
 * it for the next login even if the device is connected.
 */
export function deliver (double: Double, companion: Companion, stanza: Stanza, hold = false): void {
  companion.queue.push(stanza)
  if (companion.queue.length > queueMax) companion.queue.shift()
  if (!hold) connectionOf(double, companion)?.send(stanza)
  double.changed()
}

/** A client confirms messages by a receipt and everything else by an ack; either takes it off the queue. */
export function settle (companion: Companion, tag: string, id: string | undefined, type?: string): void {
  const index = companion.queue.findIndex((stanza) => {
    return stanza.tag === tag && stanza.attrs.id === id && (tag !== 'receipt' || stanza.attrs.type === type)
  })
  if (index >= 0) companion.queue.splice(index, 1)
}

/** `iq w:g2 get query`, `message`, `receipt retry`: the kind under which a stanza is counted. */
export function kindOf (stanza: Stanza): string {
  const { tag, attrs } = stanza
  const first = children(stanza)[0]?.tag
  if (tag === 'iq') return ['iq', attrs.xmlns, attrs.type, first].filter(Boolean).join(' ')
  if (tag === 'ack') return `ack ${attrs.class ?? ''}`.trim()
  if (tag === 'receipt') return `receipt ${attrs.type ?? ''}`.trim()
  return tag === 'ib' ? `ib ${first ?? ''}`.trim() : tag
}
