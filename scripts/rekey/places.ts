// Every other place where members stand under their pseudonyms. Facts that have been acted on are dropped, and what can be derived is derived anew:
//   MEMBERS, SERVERS, MESSAGES   handled; the sequences go on, so that a join or leave that comes later is later
//   DELETIONS                    the reaper's sweep makes missing schedules again, from the ledger
//   OPERATIONS                   said again under the new pseudonyms, and erased under the old ones
//   provisioning                 rewritten: it says how far a claim is on the panel; when each member last asked for a password is forgotten
//   brake                        rewritten: the departures of the last minutes
//   panel                        the address of each account, by which it is known
// Login names that end in a piece of the old pseudonym stay: their members log in with them.
import { brakeBucket, provisioningBucket } from '../../contracts/streams.ts'
import type { Bus } from '../../services/common/bus.ts'
import { codeOf } from '../../services/common/fault.ts'
import { emailOf } from '../../services/provisioner/identity.ts'
import type { Pterodactyl } from '../../services/provisioner/pterodactyl.ts'
import { messagesOf, ownHeaders } from './ledger.ts'
import type { Member } from './rewriting.ts'
import { RekeyRefused, type Step } from './step.ts'

const ACTED_ON = ['MEMBERS', 'SERVERS', 'DELETIONS', 'MESSAGES'] as const
const RESET = 'reset.'

export async function forgetActedOn ({ raw: { jsm } }: Bus, step: Step): Promise<void> {
  for (const stream of ACTED_ON) {
    await jsm.streams.purge(stream)
    await step(`${stream} is emptied`)
  }
}

/** Who had what done keeps its time and id; dying in between says one again under the id it has already. */
export async function renameWords ({ raw: { js, jsm } }: Bus, members: ReadonlyMap<string, Member>, step: Step): Promise<void> {
  for await (const { seq, subject, header, data } of messagesOf({ jsm }, 'OPERATIONS')) {
    const [stream, service, memberId = ''] = subject.split('.')
    const nextId = members.get(memberId)?.nextId
    if (nextId === undefined) continue
    const renamed = (text: string): string => text.replaceAll(memberId, nextId)
    await js.publish(`${stream}.${service}.${nextId}`, renamed(new TextDecoder().decode(data)), { headers: ownHeaders({ header }, renamed), msgID: `rekeyed:${nextId}:${seq}` })
    await jsm.streams.deleteMessage('OPERATIONS', seq, true)
    await step('a word is said under the new pseudonym')
  }
}

export async function rewriteBuckets (bus: Bus, members: ReadonlyMap<string, Member>, step: Step): Promise<void> {
  const renamed = (text: string): string => text.replaceAll(/[a-z2-7]{20}/g, (id) => members.get(id)?.nextId ?? id)
  for (const definition of [provisioningBucket, brakeBucket]) {
    const bucket = await bus.bucket(definition)
    for (const key of await bucket.keys()) {
      const entry = key.startsWith(RESET) ? null : await bucket.get(key)
      // The login name of an account stays as it is.
      const text = entry && rewrittenEntry(`${definition.name} ${key}`, entry.text(), renamed)
      if (entry && text !== null && text !== entry.text()) await bucket.update(key, text, entry.revision)
    }
    await step(`${definition.name} is rewritten`)
  }
  const { jsm } = bus.raw
  await jsm.streams.purge(`KV_${provisioningBucket.name}`, { filter: `$KV.${provisioningBucket.name}.${RESET}>` })
  // Earlier revisions hold what the newest no longer does.
  await jsm.streams.purge(`KV_${brakeBucket.name}`, { filter: `$KV.${brakeBucket.name}.brake`, keep: 1 })
  await step('earlier revisions are gone')
}

function rewrittenEntry (name: string, text: string, renamed: (text: string) => string): string {
  let value: { member_id?: string, departures?: Array<[string, number]> }
  try {
    value = JSON.parse(text) as typeof value
  } catch {
    throw new RekeyRefused(`${name} cannot be read (STORE_CORRUPT in RUNBOOK.md): settle it, then run this again`)
  }
  return JSON.stringify({
    ...value,
    ...(value.member_id === undefined ? {} : { member_id: renamed(value.member_id) }),
    ...(value.departures === undefined ? {} : { departures: value.departures.map(([member, at]) => [renamed(member), at]) }),
  })
}

/** Gives every account of ours its new address. Answers how many, and how many stay because somebody else's account is in the way. */
export async function readdress (panel: Pterodactyl, members: Iterable<Member>, domain: string, step: Step): Promise<{ changed: number, conflicts: number }> {
  const signal = new AbortController().signal
  let [changed, conflicts] = [0, 0]
  for (const { oldId, nextId, waJid } of members) {
    const email = emailOf(oldId, domain)
    try {
      const account = await panel.findUser({ memberId: oldId, waJid, email }, 'poll', signal)
      // A member may have given the account an address of their own.
      if (account?.email !== email) continue
      await panel.setEmail(account, emailOf(nextId, domain), 'poll', signal)
      changed++
      await step('an account has its new address')
    } catch (error) {
      if (codeOf(error) !== 'IDENTITY_CONFLICT') throw error
      conflicts++
    }
  }
  return { changed, conflicts }
}
