// What must be true when the faults are over, whatever they were.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CONSUMERS } from '../../../contracts/streams.ts'
import type { System } from '../../../deploy/staging/system.ts'
import { loginsIn, numberOf, waJidOf, withStreams } from '../crowd.ts'
import { actor, type Message, type PanelState } from '../journey.ts'
import { wasAbsent, type Members } from './members.ts'
import { ACTORS, BYSTANDER } from './schedule.ts'
import { claimsIn, doubledIn, type ClaimStory, type Said } from './story.ts'

export interface Evidence {
  readonly ledger: readonly Said[]
  readonly deletions: readonly Said[]
  readonly messages: readonly Said[]
  readonly movements: readonly Said[]
  readonly servers: readonly Said[]
  readonly dead: readonly Said[]
  readonly panel: PanelState
  readonly chats: ReadonlyMap<number, readonly Message[]>
  readonly members: Members
  readonly fallen: readonly string[]
  readonly directory: string
  /** By how much the clock of the reaper, which says when it asked for a reading, may have been wrong. */
  readonly reaperClockMs: number
}

const EVERYBODY = [...ACTORS, BYSTANDER]
const isPresent = (members: Members, member: number): boolean => members.moves(member).at(-1)?.isPresent ?? true

/** What is still to be done, in words; empty where nothing is. */
export async function whatIsUnsettled (system: System, { ledger, members }: Evidence): Promise<string> {
  const { claims } = claimsIn(ledger)
  const moving = [...claims.values()].filter(({ status }) => status === 'creating' || status === 'leaving' || status === 'deleting')
  if (moving.length > 0) return moving.map(({ claimId, status }) => `${claimId} is ${status}`).join(', ')
  const overstaying = EVERYBODY.filter((member) => !isPresent(members, member) && newestOf(claims, member)?.status === 'active')
  if (overstaying.length > 0) return `members ${overstaying.join()} have left and keep their servers`
  return await withStreams(system, async (jsm) => {
    for (const { stream, name } of CONSUMERS) {
      const { num_pending: pending, num_ack_pending: inHand } = await jsm.consumers.info(stream, name)
      if (pending + inHand > 0) return `${name} has ${pending} messages to handle and ${inHand} in hand`
    }
    return ''
  })
}

const newestOf = (claims: ReadonlyMap<string, ClaimStory>, member: number): ClaimStory | undefined => [...claims.values()].findLast(({ waJid }) => waJid === waJidOf(member))

/** Everything that is not as it must be, in words. */
export async function judge (system: System, evidence: Evidence): Promise<string[]> {
  const { ledger, deletions, messages, movements, servers, dead, members, fallen } = evidence
  const { claims, problems } = claimsIn(ledger)
  return [
    ...problems,
    ...members.oddAnswers,
    ...fallen,
    ...members.accepted.filter(({ claimId }) => !claims.has(claimId)).map(({ claimId }) => `claim ${claimId} was accepted and is forgotten`),
    ...dead.map((letter) => `dead letter ${letter.subject.replaceAll(/[a-z2-7]{20}/g, '*')} for ${letter.header('Klaim-Dead-Consumer')}: ${letter.header('Klaim-Dead-Reason')}`),
    ...[ledger, deletions, messages, movements, servers].flatMap(doubledIn).map((id) => `${id.replaceAll(/[a-z2-7]{20}/g, '*')} was said twice`),
    ...onPanel(evidence, claims),
    ...ofDeletions(evidence),
    ...await ofLogins(system, evidence, claims),
    ...ofSecrets(evidence),
  ]
}

/** One server for each active claim, none besides, and accounts for their owners alone. */
function onPanel ({ panel }: Evidence, claims: ReadonlyMap<string, ClaimStory>): string[] {
  const problems: string[] = []
  const living = [...claims.values()].filter(({ status }) => status !== 'failed' && status !== 'deleted')
  for (const { claimId, waJid } of living) {
    const mine = panel.servers.filter(({ externalId }) => externalId === claimId)
    if (mine.length !== 1) problems.push(`claim ${claimId} is living and has ${mine.length} servers`)
    if (mine.some(({ status, listens }) => status !== null || !listens)) problems.push(`the server of claim ${claimId} does not answer`)
    if (panel.users.filter(({ externalId }) => externalId === waJid).length !== 1) problems.push(`the owner of claim ${claimId} has no account, or two`)
  }
  for (const { externalId } of panel.servers) if (!living.some(({ claimId }) => claimId === externalId)) problems.push(`a server of ${externalId} is left over`)
  for (const { externalId } of panel.users) {
    if (externalId === null || living.some(({ waJid }) => waJid === externalId)) continue
    const last = [...claims.values()].findLast(({ waJid }) => waJid === externalId)
    // A claim that failed because the panel is away leaves its account; the next claim finds it.
    if (!last?.code.startsWith('PANEL_')) problems.push('an account is left over')
  }
  if (panel.orphans.length > 0) problems.push(`${panel.orphans.length} containers are left over`)
  return problems
}

/** Nobody's absence is confirmed who was in the group all the while from the reading to the word. */
function ofDeletions ({ ledger, deletions, members, reaperClockMs }: Evidence): string[] {
  const problems: string[] = []
  for (const { data } of ledger.filter(({ type }) => type === 'claim.deletion_started')) {
    const member = EVERYBODY.find((each) => waJidOf(each) === data['wa_jid'])
    const words = deletions.filter(({ type, data: said }) => type === 'deletion.confirmed' && said['delete_job_id'] === data['delete_job_id'])
    if (member === undefined) problems.push('the server of a stranger was deleted')
    else if (words.length === 0) problems.push(`a deletion of member ${member} was started without a confirmation`)
    else if (!words.some(({ at, data: said }) => wasAbsent(members.moves(member), Math.min(at, Date.parse(String(said['absent_at'])) - reaperClockMs), at))) problems.push(`the server of member ${member} was deleted, who was in the group`)
  }
  return problems
}

/** Each activation has one login, which came once, unless WhatsApp refused it. */
async function ofLogins (system: System, { ledger, messages, members, chats }: Evidence, claims: ReadonlyMap<string, ClaimStory>): Promise<string[]> {
  const problems: string[] = []
  for (const member of EVERYBODY) {
    const activated = ledger.filter(({ type, data }) => type === 'claim.activated' && data['wa_jid'] === waJidOf(member))
    const chat = chats.get(member) ?? []
    const outcomes = activated.map(({ data }) => {
      const about = messages.filter(({ data: said }) => said['message_id'] === `login-${String(data['claim_id'])}`)
      return { written: about.filter(({ type }) => type === 'message.outbound').length, settled: about.filter(({ type }) => type !== 'message.outbound').map(({ type }) => type) }
    })
    for (const { written, settled } of outcomes) if (written !== 1 || settled.length !== 1) problems.push(`member ${member}: a login was written ${written} times and is ${settled.join() || 'not settled'}`)
    const delivered = outcomes.filter(({ settled }) => settled[0] === 'message.delivered').length
    const shown = chat.filter(({ from, text }) => from === 'bot' && /siap!/.test(text)).length
    // What WhatsApp refused may have come in part.
    if (shown < delivered || shown > activated.length) problems.push(`member ${member}: ${delivered} of ${activated.length} logins were delivered, and ${shown} came`)
    const logins = loginsIn(chat)
    if (new Set(logins.map(({ password }) => password)).size < logins.length) problems.push(`member ${member}: a password came twice`)
    const newest = logins.at(-1)
    const claim = newestOf(claims, member)
    // Who asked for another may have one that was set and not sent, and asks again.
    if (claim?.status === 'active' && delivered === activated.length && !members.askedForLogin.has(member) && !(newest && await actor(system, numberOf(member)).logsIn(newest.username, newest.password))) problems.push(`member ${member}: the login does not open the panel`)
  }
  for (const { data } of messages.filter(({ type }) => type === 'message.outbound')) {
    if (messages.filter(({ type, data: said }) => type !== 'message.outbound' && said['message_id'] === data['message_id']).length !== 1) problems.push(`what became of ${String(data['kind'])} ${String(data['message_id'])} is not said, or twice`)
  }
  return problems
}

/** No password that a member has seen stands in any file of Klaim, and no number in a log. */
function ofSecrets ({ directory, chats }: Evidence): string[] {
  const passwords = [...chats.values()].flatMap(loginsIn).map(({ password }) => password)
  const ours = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && /\/(logs|nats|book)(\/|$)/.test(entry.parentPath) && !/^(panel|whatsapp)\./.test(entry.name))
  return ours.flatMap(({ parentPath, name }) => {
    const text = readFileSync(join(parentPath, name), 'latin1')
    return [
      ...(passwords.some((password) => text.includes(password)) ? [`a password stands in ${name}`] : []),
      ...(parentPath.endsWith('/logs') && text.includes('6281200000') ? [`a number stands in ${name}`] : []),
    ]
  })
}
