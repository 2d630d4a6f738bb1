// Members under a new MEMBER_ID_KEY, with every service stopped. The order is what makes it safe to die on any line: once the first event is rewritten
// claim-store starts under neither key, until the last step has removed what was under the old one.
import { inboxPrefixOf } from '../../contracts/access.ts'
import { CONSUMERS } from '../../contracts/streams.ts'
import type { Bus } from '../../services/common/bus.ts'
import type { Pterodactyl } from '../../services/provisioner/pterodactyl.ts'
import { BACKUP, backUp, dropOld, lookAt, membersOf, passOver, rewrite, verify, type Ledger } from './ledger.ts'
import { forgetActedOn, readdress, renameWords, rewriteBuckets } from './places.ts'
import type { Keys } from './rewriting.ts'
import { RekeyRefused, type Step } from './step.ts'

export interface RekeyOptions { readonly bus: Bus, readonly panel: Pterodactyl, readonly keys: Keys, readonly emailDomain: string }

const PING_MS = 500
/** Schedules fire while everything is stopped. They are only wake-ups, and the sweep looks at what is overdue. */
const MAY_WAIT = ['reaper-due']

/** Reads and checks, and changes nothing. */
export async function survey ({ bus, keys }: Pick<RekeyOptions, 'bus' | 'keys'>): Promise<Ledger> {
  if (keys.old === keys.next) throw new RekeyRefused('the new key is the old one')
  const running = await runningServices(bus.raw.connection)
  if (running.length > 0) throw new RekeyRefused(`still running: ${running.join(', ')}; stop every service`)
  const ledger = await lookAt(bus.raw, keys)
  for (const { name, stream } of CONSUMERS) {
    const { num_waiting, num_pending, num_ack_pending } = await bus.raw.jsm.consumers.info(stream, name)
    if (num_waiting > 0) throw new RekeyRefused(`somebody reads from ${name}; stop every service`)
    // Of the ledger's, those of a run that died wait for the rewritten events.
    const isOurs = stream === 'CLAIMS' && ledger.next > 0
    if (num_pending + num_ack_pending > 0 && !isOurs && !MAY_WAIT.includes(name)) throw new RekeyRefused(`${name} has ${num_pending + num_ack_pending} messages unhandled: start the services, and stop them when there are none`)
  }
  const { state } = await bus.raw.jsm.streams.info('DEAD_LETTERS')
  if (state.messages > 0) throw new RekeyRefused(`DEAD_LETTERS holds ${state.messages} messages under old pseudonyms: settle them, then nats stream purge DEAD_LETTERS`)
  return ledger
}

export async function rekey (options: RekeyOptions, step: Step): Promise<{ members: number, changed: number, conflicts: number }> {
  const { bus, panel, keys, emailDomain } = options
  const { old } = await survey(options)
  // There is nobody, or a run before this one came to its end.
  if (old === 0) return { members: 0, changed: 0, conflicts: 0 }
  await backUp(bus.raw, keys, step)
  await rewrite(bus.raw, keys, step)
  await verify(bus.raw, keys)
  const members = await membersOf(bus.raw, keys)
  await rewriteBuckets(bus, members, step)
  await forgetActedOn(bus, step)
  await renameWords(bus, members, step)
  const { changed, conflicts } = await readdress(panel, members.values(), emailDomain, step)
  await passOver(bus.raw, step)
  await dropOld(bus.raw, keys)
  return { members: members.size, changed, conflicts }
}

/** Removes the copy of the old ledger, the last place where numbers stand under the old key. */
export async function confirm ({ bus, keys: { next, mac } }: Pick<RekeyOptions, 'bus' | 'keys'>): Promise<void> {
  // Refuses a ledger of which anything is under another key.
  await lookAt(bus.raw, { old: next, next, mac })
  await bus.raw.jsm.streams.delete(BACKUP)
}

/** Every service answers on the services API of NATS. */
export async function runningServices (connection: Bus['raw']['connection']): Promise<string[]> {
  const names = new Set<string>()
  const subscription = connection.subscribe(`${inboxPrefixOf('operator')}.rekey.${process.pid}`)
  connection.publish('$SRV.PING', '', { reply: subscription.getSubject() })
  const ended = setTimeout(() => { subscription.unsubscribe() }, PING_MS)
  // Where nobody listens the server says so in an empty message.
  for await (const message of subscription) if (message.data.length > 0) names.add(message.json<{ name: string }>().name)
  clearTimeout(ended)
  return [...names].toSorted()
}
