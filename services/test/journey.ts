// What a person does and sees, over the same doors as a person: the form, the chat, the panel.
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { startSystem, type System, type SystemOptions } from '../../deploy/staging/system.ts'

const WAIT_MS_MAX = 90_000
export interface Patience { readonly waitMs?: number, readonly everyMs?: number }

export interface Message { readonly id: string, readonly from: 'bot' | 'member', readonly text: string, readonly at: number }

/** Asks until `look` answers something other than undefined. A door that is closed for a moment is tried again, as a person would. */
export async function until<Seen> (what: string, look: () => Promise<Seen | undefined> | Seen | undefined, { waitMs = WAIT_MS_MAX, everyMs = 100 }: Patience = {}): Promise<Seen> {
  let last: unknown
  for (const deadline = Date.now() + waitMs; Date.now() < deadline; await delay(everyMs)) {
    try {
      const seen = await look()
      if (seen !== undefined) return seen
    } catch (error) {
      last = error
    }
  }
  throw new Error(`never happened: ${what}`, { cause: last })
}

async function json<Body> (url: string, init?: RequestInit): Promise<Body> {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(15_000) })
  if (!answer.ok) throw new Error(`${init?.method ?? 'GET'} ${new URL(url).pathname} answered ${answer.status}`)
  return await answer.json() as Body
}
const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })

/** What a person sends to one of the doubles; answers what comes back. Throws where it is refused. */
export const put = async (url: string, method: 'POST' | 'PUT' | 'PATCH', body: unknown): Promise<unknown> => await json(url, { ...post(body), method })

export interface PanelState { readonly users: Array<{ id: number, username: string, email: string, externalId: string | null }>, readonly servers: Array<{ id: number, externalId: string | null, status: string | null, address: string, listens: boolean }>, readonly requests: Record<string, { readonly total: number, readonly statuses: Record<string, number> }>, readonly tooManyRequests: number, readonly serverCreates: number, readonly orphans: readonly string[] }
export interface Progress { readonly claim_id: string, readonly status: string, readonly step?: string, readonly message: string, readonly failure_code?: string, readonly deletion_scheduled_at?: string, readonly updated_at: string }

/** What of a system a person gets to see; one in containers has no more to show. */
export type Doors = Pick<System, 'gatewayUrls' | 'panelUrl' | 'whatsappUrl'>

export function actor (system: Doors, number: string) {
  const gateway = system.gatewayUrls[0] ?? ''
  const person = {
    /** Fills the form in; answers status and body. */
    claim: async (headers: Record<string, string> = {}, door = gateway) => {
      const answer = await fetch(`${door}/api/claim`, { ...post({ username: `user${number.slice(-4)}`, wa_number_e164: `+${number}`, template: 'nodejs' }, headers), signal: AbortSignal.timeout(15_000) })
      return { status: answer.status, body: await answer.json() as { claim_id: string, error?: { code: string, claim_id?: string } }, retryAfter: answer.headers.get('retry-after') }
    },
    progress: async (claimId: string, headers: Record<string, string> = {}) => await json<Progress>(`${gateway}/api/claim/${claimId}/status`, { headers }),
    /** Fills the form in until it is accepted, as the page does: with one key. Answers the claim's id, once it is `status` if that is given. */
    claimed: async (status?: string): Promise<string> => {
      const key = { 'idempotency-key': randomUUID() }
      const claimId = await until(`${number} is let in`, async () => {
        const answer = await person.claim(key)
        return answer.status === 202 ? answer.body.claim_id : undefined
      })
      if (status !== undefined) await person.becomes(claimId, status)
      return claimId
    },
    becomes: async (claimId: string, status: string, patience?: Patience): Promise<void> => {
      await until(`${claimId} is ${status}`, async () => (await person.progress(claimId)).status === status || undefined, patience)
    },
    /** Answers all that the bot has said by then. */
    hears: async (words: RegExp, patience?: Patience): Promise<string[]> => await until(`${number} hears ${String(words)}`, async () => {
      const texts = fromBot(await person.chat())
      return texts.some((text) => words.test(text)) ? texts : undefined
    }, patience),
    /** What the member sees of the chat with the bot, oldest first. */
    chat: async () => {
      const { chat } = await json<{ chat: Message[] }>(`${system.whatsappUrl}/people/${number}`)
      return chat
    },
    join: async () => await json(`${system.whatsappUrl}/people/${number}/join`, post({})),
    leave: async () => await json(`${system.whatsappUrl}/people/${number}/leave`, post({})),
    write: async (text: string) => await json(`${system.whatsappUrl}/people/${number}/message`, post({ text })),
    /** Would the panel let somebody in with this? */
    logsIn: async (username: string, password: string) => (await json<{ accepted: boolean }>(`${system.panelUrl}/__double/login`, post({ username, password }))).accepted,
  }
  return person
}

export const panelState = async (system: Doors): Promise<PanelState> => await json<PanelState>(`${system.panelUrl}/__double/state`)

/** Seconds stand for hours. Long enough that somebody who leaves can come back while a service is killed and started on a busy machine. */
const GRACE_MS = 20_000

export const startJourneySystem = async (more: Pick<SystemOptions, 'doubled' | 'readyMsMax' | 'rootOf'> = {}): Promise<System> => await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-journey-')), graceMs: GRACE_MS, members: 12, ...more,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '600', PANEL_DOUBLE_START_DELAY_MS: '200' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200', LOST_CREATE_WAIT_MS: '4000' },
    reaper: { SWEEP_EVERY_MS: '1000', POSTPONE_MS: '1000', BRAKE_DEPARTURES_MIN: '50' },
    bot: { SEND_GAP_MS: '50', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
    all: { LOG_LEVEL: 'debug' },
  },
})

const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
const fromBot = (chat: readonly Message[]): string[] => chat.filter(({ from }) => from === 'bot').map(({ text }) => text)
/** It stands alone in its message. */
export const PASSWORD = /^\S{32}$/

/** The member's way, in a test of its own: claim, login, leave, warning, return, cancellation, leave, deletion. `disturb` is called after every deed and every sign of it. Answers the claim's id. */
export async function journey (t: Test, system: Doors, member: number, disturb: (after: string) => Promise<void>, graceMs = GRACE_MS): Promise<string> {
  const person = actor(system, numberOf(member))
  const becomes = async (status: string): Promise<void> => { await person.becomes(claimId, status) }

  const claimId = await person.claimed()
  await disturb('the claim')
  await becomes('active')
  await disturb('the server is ready')
  const login = await person.hears(PASSWORD)
  const password = login.find((text) => PASSWORD.test(text)) ?? ''
  const username = /Nama pengguna: (\S+)/.exec(login.join('\n'))?.[1] ?? ''
  t.ok(await person.logsIn(username, password), 'the password in the chat opens the panel')
  const { servers, users } = await panelState(system)
  const mine = servers.filter((server) => server.externalId === claimId)
  t.same(mine.map(({ status, listens }) => ({ status, listens })), [{ status: null, listens: true }], 'one server is installed and answers')
  t.equal(users.filter((user) => user.externalId === `${numberOf(member)}@s.whatsapp.net`).length, 1, 'for one user')

  await person.leave()
  await disturb('the leave')
  await person.hears(/akan dihapus/)
  await becomes('deleting')
  await disturb('the warning')
  await person.join()
  await disturb('the return')
  await person.hears(/dibatalkan karena/)
  await becomes('active')
  await disturb('the cancellation')

  const left = Date.now()
  await person.leave()
  await disturb('the second leave')
  await until('the server is gone', async () => (await panelState(system)).servers.some((server) => server.externalId === claimId) ? undefined : true, { waitMs: graceMs + WAIT_MS_MAX })
  t.ok(Date.now() - left >= graceMs, 'the server stays for the whole grace')
  await disturb('the deletion')
  await person.hears(/sudah dihapus/)
  await becomes('deleted')

  const texts = fromBot(await person.chat())
  const count = (words: RegExp): number => texts.filter((text) => words.test(text)).length
  t.same([count(PASSWORD), count(/siap!/), count(/akan dihapus/), count(/dibatalkan karena/), count(/sudah dihapus/)], [1, 1, 2, 1, 1], 'each message came once')
  const after = await panelState(system)
  t.equal(after.users.filter((user) => user.externalId === `${numberOf(member)}@s.whatsapp.net`).length, 0, 'the user is gone with the server')
  return claimId
}

/** How many servers the panel ever made. */
export const serversMade = async (system: Doors): Promise<number> => (await panelState(system)).requests['POST /servers']?.statuses['201'] ?? 0

/** The whole journey with something killed after every step, and one server made in the end. */
export async function killedJourney (t: Test, system: System, member: number, kill: () => Promise<void>): Promise<void> {
  const before = await serversMade(system)
  await journey(t, system, member, async () => { await kill() })
  t.equal(await serversMade(system) - before, 1, 'one server was ever made')
}
