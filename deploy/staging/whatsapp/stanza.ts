/** Small words for building and reading the XML-like stanzas of the protocol. */
import type { BinaryNode } from '@whiskeysockets/baileys'

export type Stanza = BinaryNode
type Attributes = Record<string, string | number | undefined>

export const serverJid = 's.whatsapp.net'

/** Attribute values must be strings on the wire: a number would corrupt the length of the encoded list. */
export function stanza (tag: string, attributes: Attributes = {}, content?: Stanza[] | Uint8Array | string): Stanza {
  const attrs: Record<string, string> = {}
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) attrs[name] = String(value)
  if (content === undefined) return { tag, attrs }
  return { tag, attrs, content: typeof content === 'string' ? Buffer.from(content) : content }
}

export function children (parent: Stanza | undefined, tag?: string): Stanza[] {
  if (!Array.isArray(parent?.content)) return []
  return tag === undefined ? parent.content : parent.content.filter((node) => node.tag === tag)
}

export function child (parent: Stanza | undefined, tag: string): Stanza | undefined {
  return children(parent, tag)[0]
}

export function bytes (node: Stanza | undefined): Buffer {
  const content = node?.content
  if (content === undefined || Array.isArray(content)) return Buffer.alloc(0)
  return typeof content === 'string' ? Buffer.from(content) : Buffer.from(content)
}

export const text = (node: Stanza | undefined): string => bytes(node).toString('utf8')

export const seconds = (epochMs = Date.now()): number => Math.floor(epochMs / 1000)

/** An answer of type "error" to a query. Codes as WhatsApp uses them: 403, 404, 429, 500. */
export class QueryError extends Error {
  readonly code: number
  constructor (code: number, reason = reasons[code] ?? 'error') {
    super(reason)
    this.code = code
  }
}

const reasons: Record<number, string> = {
  400: 'bad-request', 401: 'not-authorized', 403: 'forbidden', 404: 'item-not-found', 429: 'rate-overlimit', 500: 'internal-server-error'
}
