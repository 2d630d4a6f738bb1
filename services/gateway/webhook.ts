// What an outside bot saw in the group, as events. It is a hint like the roster's own: the group is asked again before anything is deleted.
import { createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Static } from 'typebox'
import { memberJoined, memberLeft } from '../../contracts/events/members.ts'
import { WEBHOOK_WINDOW_S, WebhookNotice } from '../../contracts/http.ts'
import { noncesBucket } from '../../contracts/streams.ts'
import type { Bus } from '../common/bus.ts'
import { validatorOf } from '../common/envelope.ts'
import { transient } from '../common/fault.ts'
import { memberIdOf } from '../common/member-id.ts'
import { secretsOf } from '../common/secret-pair.ts'
import type { Config } from './config.ts'
import { createNonceStore } from './nonce-store.ts'
import { Refusal } from './refusal.ts'
import { verify } from './webhook-signature.ts'

export interface Webhook {
  /**
   * Resolves when the event is stored; `duplicate`: it was already. Throws a Refusal, or a transient Fault where NATS is away: then sending
   * the same again is safe.
   */
  take (headers: IncomingHttpHeaders, body: Uint8Array): Promise<'accepted' | 'duplicate'>
}

export interface WebhookSettings { readonly secrets: readonly string[], readonly groupId: string, readonly memberIdKey: string }

/** Undefined where no secret is configured: then there is no webhook. Throws where a secret is given without the rest. */
export function webhookSettings (config: Pick<Config, 'WEBHOOK_SECRETS' | 'GROUP_ID' | 'MEMBER_ID_KEY'>): WebhookSettings | undefined {
  const { WEBHOOK_SECRETS, GROUP_ID: groupId, MEMBER_ID_KEY: memberIdKey } = config
  if (WEBHOOK_SECRETS === undefined) return undefined
  if (groupId === undefined || memberIdKey === undefined) throw new Error('invalid configuration: WEBHOOK_SECRETS needs GROUP_ID and MEMBER_ID_KEY')
  return { secrets: secretsOf(WEBHOOK_SECRETS), groupId, memberIdKey }
}

export async function createWebhook (options: { settings: WebhookSettings, bus: Pick<Bus, 'bucket' | 'publish' | 'isConnected'>, now: () => Date }): Promise<Webhook> {
  const { settings: { secrets, groupId, memberIdKey }, bus, now } = options
  const hashOf = (text: string | Uint8Array): string => createHmac('sha256', memberIdKey).update(text).digest('hex')
  const nonces = createNonceStore(await bus.bucket(noncesBucket))
  return {
    take: async (headers, body) => {
      const verdict = verify({ secrets, timestamp: headers['x-timestamp'], signature: headers['x-signature'], body, now: now() })
      if (verdict !== 'valid') throw new Refusal(verdict === 'wrong_time' ? 'STALE_TIMESTAMP' : 'INVALID_SIGNATURE')
      const { event, wa_jid, group_id, occurred_at, nonce } = noticeOf(body)
      if (group_id !== groupId) throw new Refusal('WRONG_GROUP', { field: 'group_id' })
      const occurredAt = new Date(occurred_at)
      // A leave from the future would hide the return from it. The clocks may differ by as much as the signature's.
      if (!(occurredAt.getTime() <= now().getTime() + WEBHOOK_WINDOW_S * 1_000)) throw new Refusal('INVALID_REQUEST', { field: 'occurred_at' })
      // Not held back until NATS returns: the caller keeps the notice and sends it again.
      if (!bus.isConnected()) throw transient('NATS_UNAVAILABLE', 'the webhook cannot store anything now')

      // Keyed, because the body holds a phone number, and whoever makes nonces may have put one in there, and a plain hash of one can be reversed by trying all.
      const inUse = await nonces.begin(hashOf(nonce), hashOf(body))
      if (!inUse) throw new Refusal('NONCE_USED', { field: 'nonce' })
      const memberId = memberIdOf(memberIdKey, wa_jid)
      const at = occurredAt.toISOString()
      const { duplicate } = await bus.publish(event === 'join' ? memberJoined : memberLeft, {
        // The fact, not the nonce: an outside bot that tells it again under a new nonce adds nothing.
        key: `webhook:${memberId}:${at}`,
        data: { member_id: memberId, wa_jid, group_id, occurred_at: at, observed_by: 'webhook' },
      })
      if (!await nonces.finish(inUse)) throw new Refusal('NONCE_USED', { field: 'nonce' })
      return duplicate ? 'duplicate' : 'accepted'
    },
  }
}

function noticeOf (body: Uint8Array): WebhookNotice {
  let notice: unknown
  try {
    notice = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    // Without the cause: a syntax error quotes what it could not read.
    throw new Refusal('INVALID_REQUEST')
  }
  const validator = validatorOf(WebhookNotice)
  if (validator.Check(notice)) return notice as Static<typeof WebhookNotice>
  const path = validator.Errors(notice)[0]?.instancePath.slice(1)
  throw new Refusal('INVALID_REQUEST', path !== undefined && Object.hasOwn(WebhookNotice.properties, path) ? { field: path } : {})
}
