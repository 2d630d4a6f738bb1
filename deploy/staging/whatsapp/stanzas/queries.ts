/** Answers to `<iq>`: who answers which namespace. */
import type { Connection, Double } from '../double.ts'
import { onLinkCode, onPairingResult } from '../pairing.ts'
import { child, children, QueryError, serverJid, stanza, type Stanza } from '../stanza.ts'
import { answerAccount } from './account.ts'
import { answerEncrypt } from './encrypt.ts'
import { answerGroup } from './group.ts'
import { answerUsync } from './usync.ts'

/** Gives the children of the result; throws QueryError to refuse. */
export type Answerer = (double: Double, connection: Connection, query: Stanza) => Stanza[]

const answerers: Record<string, Answerer> = {
  'encrypt': answerEncrypt,
  'usync': answerUsync,
  'w:g2': answerGroup,
  'md': answerLinking
}

export function answer (double: Double, connection: Connection, query: Stanza): void {
  const { id, type, xmlns = '', to } = query.attrs
  if (type === 'result' || type === 'error') return onPairingResult(double, connection, query)
  if (double.knobs.deaf === 'queries' && xmlns !== 'w:p') return
  const result = resultOf(double, connection, query)
  double.later(double.knobs.answerDelayMs, () => {
    connection.send({ ...result, attrs: { id: id ?? '', from: to ?? serverJid, ...result.attrs } })
    if (child(query, 'remove-companion-device')) connection.end()
  })
  // Only queries about keys and linking change what the server knows.
  if (xmlns === 'encrypt' || xmlns === 'md') double.changed()
  else double.noticed()
}

function resultOf (double: Double, connection: Connection, query: Stanza): Stanza {
  try {
    const answerer = answerers[query.attrs.xmlns ?? ''] ?? answerAccount
    return stanza('iq', { type: 'result' }, answerer(double, connection, query))
  } catch (error) {
    if (!(error instanceof QueryError)) throw error
    return stanza('iq', { type: 'error' }, [stanza('error', { code: error.code, text: error.message })])
  }
}

function answerLinking (double: Double, connection: Connection, query: Stanza): Stanza[] {
  const [request] = children(query)
  if (request?.tag === 'link_code_companion_reg') return onLinkCode(connection, request)
  if (request?.tag === 'remove-companion-device' && connection.companion) {
    double.world.companions = double.world.companions.filter((companion) => companion !== connection.companion)
  }
  return []
}
