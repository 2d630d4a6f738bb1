/** Keys: what a client has left on the server, what it uploads, and the bundles of those it wants to write to. */
import { type Connection, type Double } from '../double.ts'
import { bytes, child, children, QueryError, seconds, stanza, type Stanza } from '../stanza.ts'
import { type Companion, parseJid, personByJid } from '../world.ts'

const preKeysMax = 2_000

export function answerEncrypt (double: Double, { companion }: Connection, query: Stanza): Stanza[] {
  const [request] = children(query)
  if (!companion) throw new QueryError(401)
  if (query.attrs.type === 'set') {
    if (request?.tag === 'rotate') companion.signedPreKey = signedPreKeyOf(child(request, 'skey'))
    else upload(companion, query)
    return []
  }
  switch (request?.tag) {
    case 'count': return [stanza('count', { value: companion.preKeys.length + companion.claimedPreKeys })]
    case 'digest': return [stanza('digest', {}, [stanza('type', {}, Buffer.from([5])), stanza('hash', {}, Buffer.alloc(20))])]
    case 'key': return [stanza('list', {}, children(request, 'user').map(({ attrs }) => bundleOf(double, attrs.jid ?? '')))]
    case undefined:
    default: throw new QueryError(400)
  }
}

function upload (companion: Companion, query: Stanza): void {
  companion.identity = bytes(child(query, 'identity'))
  companion.registrationId = bytes(child(query, 'registration')).readUInt32BE()
  companion.signedPreKey = signedPreKeyOf(child(query, 'skey'))
  companion.preKeys.push(...children(child(query, 'list'), 'key').map(keyOf))
  companion.preKeys.splice(0, companion.preKeys.length - preKeysMax)
  companion.claimedPreKeys = 0
}

/** One wrong user in the answer makes the client reject the whole send, as it would with the real server. */
function bundleOf (double: Double, jid: string): Stanza {
  const person = personByJid(double.world, jid)
  const { device } = parseJid(jid)
  if (!person?.devices.includes(device)) return stanza('user', { jid }, [stanza('error', { code: 404, text: 'item-not-found' })])
  return stanza('user', { jid, t: seconds() }, double.device(person, device).bundle())
}

const keyOf = (key: Stanza) => ({ keyId: bytes(child(key, 'id')).readUIntBE(0, 3), publicKey: bytes(child(key, 'value')) })

function signedPreKeyOf (skey: Stanza | undefined): Companion['signedPreKey'] {
  if (!skey) throw new QueryError(400)
  return { ...keyOf(skey), signature: bytes(child(skey, 'signature')) }
}
