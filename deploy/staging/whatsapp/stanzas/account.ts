/** Settings, lists and standing of the bot's account. Whatever the double does not know gets an empty result. */
import { type Connection, deliver, type Double } from '../double.ts'
import { children, seconds, serverJid, stanza, type Stanza } from '../stanza.ts'
import { stanzaId } from '../world.ts'

const reachoutQuery = '23983697327930364'
/** 10518: show the contact's token with each message to them. */
const properties = [stanza('prop', { config_code: 10518, config_value: 'true' })]
const privacyCategories = ['last', 'online', 'profile', 'status', 'groupadd', 'calladd', 'messages', 'readreceipts']

export function answerAccount (double: Double, _connection: Connection, query: Stanza): Stanza[] {
  const [request] = children(query)
  switch (query.attrs.xmlns) {
    case 'abt': return [stanza('props', { protocol: 1, hash: 'staging', refresh: 86400, ab_key: 'staging' }, properties)]
    case 'blocklist': return [stanza('list')]
    case 'w:mex': return [answerGraph(double, request)]
    // Tokens that the client gives to its contacts are taken without an answer.
    case 'privacy': return request?.tag === 'privacy' ? [privacy()] : []
    case undefined:
    default: return []
  }
}

const privacy = () => stanza('privacy', {}, privacyCategories.map((name) => stanza('category', { name, value: 'all' })))

function answerGraph (double: Double, request: Stanza | undefined): Stanza {
  const answer = request?.attrs.query_id === reachoutQuery
    ? { data: { xwa2_fetch_account_reachout_timelock: lockOf(double) } }
    : { data: null, errors: [{ message: 'unknown query', extensions: { error_code: 400 } }] }
  return stanza('result', {}, JSON.stringify(answer))
}

function lockOf ({ knobs: { restrictedUntil } }: Double) {
  const isActive = isRestricted(restrictedUntil)
  return {
    is_active: isActive,
    time_enforcement_ends: isActive ? String(restrictedUntil) : '0',
    enforcement_type: isActive ? 'WEB_COMPANION_ONLY' : 'DEFAULT'
  }
}

export const isRestricted = (until: number | null): boolean => until !== null && until > seconds()

/** Tells the linked devices about the reach-out lock without being asked. */
export function pushReachoutLock (double: Double): void {
  const update = { data: { xwa2_notify_account_reachout_timelock: lockOf(double) } }
  for (const companion of double.world.companions) {
    deliver(double, companion, stanza('notification', { from: serverJid, type: 'mex', id: stanzaId(), t: seconds() }, [
      stanza('update', { op_name: 'NotificationUserReachoutTimelockUpdate' }, JSON.stringify(update))
    ]))
  }
}
