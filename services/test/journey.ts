// What a person does and sees, over the same doors as a person: the form, the chat, the panel.
import { setTimeout as delay } from 'node:timers/promises'
import type { System } from '../../deploy/staging/system.ts'

const WAIT_MS_MAX = 60_000

export interface Message { readonly id: string, readonly from: 'bot' | 'member', readonly text: string, readonly at: number }

/** Asks until `look` answers something other than undefined. A door that is closed for a moment is tried again, as a person would. */
export async function until<Seen> (what: string, look: () => Promise<Seen | undefined>, { waitMs = WAIT_MS_MAX, everyMs = 100 } = {}): Promise<Seen> {
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

export interface PanelState { readonly users: Array<{ id: number, username: string, email: string, externalId: string | null }>, readonly servers: Array<{ id: number, externalId: string | null, status: string | null, address: string, listens: boolean }>, readonly requests: Record<string, { readonly total: number, readonly statuses: Record<string, number> }>, readonly tooManyRequests: number, readonly serverCreates: number, readonly orphans: readonly string[] }
export interface Progress { readonly claim_id: string, readonly status: string, readonly step?: string, readonly message: string, readonly failure_code?: string, readonly deletion_scheduled_at?: string, readonly updated_at: string }

export function actor (system: System, number: string) {
  const gateway = system.gatewayUrls[0] ?? ''
  return {
    /** Fills the form in; answers status and body. */
    claim: async (headers: Record<string, string> = {}, door = gateway) => {
      const answer = await fetch(`${door}/api/claim`, { ...post({ username: `user${number.slice(-4)}`, wa_number_e164: `+${number}`, template: 'nodejs' }, headers), signal: AbortSignal.timeout(15_000) })
      return { status: answer.status, body: await answer.json() as { claim_id: string, error?: { code: string, claim_id?: string } }, retryAfter: answer.headers.get('retry-after') }
    },
    progress: async (claimId: string, headers: Record<string, string> = {}) => await json<Progress>(`${gateway}/api/claim/${claimId}/status`, { headers }),
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
}

export const panelState = async (system: System): Promise<PanelState> => await json<PanelState>(`${system.panelUrl}/__double/state`)
