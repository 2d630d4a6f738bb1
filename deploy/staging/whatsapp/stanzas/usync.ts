/** Is this number on WhatsApp, what is its LID, which devices does it have. */
import { createHash } from 'node:crypto'
import type { Connection, Double } from '../double.ts'
import { take } from '../knobs.ts'
import { child, children, QueryError, seconds, stanza, type Stanza, text } from '../stanza.ts'
import { lidJid, parseJid, personByJid, personByNumber, type Person, phoneJid } from '../world.ts'

export function answerUsync (double: Double, _connection: Connection, query: Stanza): Stanza[] {
  const refused = take(double.knobs.usyncError)
  if (refused) throw new QueryError(refused.code)
  const usync = child(query, 'usync')
  const protocols = children(child(usync, 'query')).map(({ tag }) => tag)
  const users = children(child(usync, 'list'), 'user').flatMap((user) => answerUser(double, protocols, user))
  const { sid, mode, context, index, last } = usync?.attrs ?? {}
  return [stanza('usync', { sid, mode, context, index, last }, [
    stanza('result', {}, protocols.map((protocol) => stanza(protocol, protocol === 'contact' ? { version: seconds() } : {}))),
    stanza('list', {}, users)
  ])]
}

/** Every user in the answer carries its jid; clients skip those that do not. */
function answerUser (double: Double, protocols: string[], user: Stanza): Stanza[] {
  const dialled = text(child(user, 'contact'))
  const jid = user.attrs.jid ?? ''
  const found = dialled ? personByNumber(double.world, dialled) : personByJid(double.world, jid)
  const person = found?.isOnWhatsApp ? found : undefined
  if (!person && !dialled) return []
  const answers = protocols.flatMap((protocol) => answerProtocol(protocol, person, dialled, jid))
  return [stanza('user', { jid: jid || (person ? phoneJid(person) : `${dialled.replace(/\D/g, '')}@s.whatsapp.net`) }, answers)]
}

function answerProtocol (protocol: string, person: Person | undefined, dialled: string, jid: string): Stanza[] {
  if (protocol === 'contact') return [stanza('contact', { type: person ? 'in' : 'out' }, dialled)]
  if (!person) return []
  if (protocol === 'lid') return [stanza('lid', { val: lidJid(person) })]
  if (protocol === 'devices') return [devicesOf(person, parseJid(jid).server)]
  return []
}

function devicesOf (person: Person, server: string): Stanza {
  const hash = createHash('sha256').update(`${server}${person.devices.join()}`).digest('base64').slice(0, 8)
  return stanza('devices', {}, [
    stanza('device-list', { hash: `2:${hash}` }, person.devices.map((id) => stanza('device', { id, 'key-index': id ? 1 : undefined }))),
    stanza('key-index-list', { ts: seconds() })
  ])
}
