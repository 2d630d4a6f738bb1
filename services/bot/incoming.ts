// Who speaks and what they say, out of Baileys' shapes.
import { isJidGroup, isLidUser, isPnUser, jidDecode, normalizeMessageContent, type WAMessage } from '@whiskeysockets/baileys'
import type { Person } from './roster.ts'

export interface Incoming { readonly id: string, readonly from: Person, readonly text: string, /** Epoch ms. */ readonly sentAt: number }

const TEXT_LENGTH_MAX = 1_000

/** What is not even decrypted: broadcasts, channels, bots, and every group but the watched one. */
export function isIgnored (jid: string, groupId: string): boolean {
  if (isJidGroup(jid)) return jid !== groupId
  return jid.endsWith('@broadcast') || jid.endsWith('@newsletter') || jid.endsWith('@bot')
}

/** A participant as Baileys lists one. */
export function personIn ({ id, phoneNumber, lid }: { id: string, phoneNumber?: string | undefined, lid?: string | undefined }): Person {
  return personOf([id, phoneNumber, lid])
}

/** A person from JIDs of either kind; device numbers are dropped. */
function personOf (jids: readonly (string | null | undefined)[]): Person {
  const user = (fits: (jid: string | undefined) => boolean | undefined): string | undefined => jidDecode(jids.find((jid) => fits(jid ?? undefined)) ?? undefined)?.user
  const [phone, lid] = [user(isPnUser), user(isLidUser)]
  return { ...(phone === undefined ? {} : { phone }), ...(lid === undefined ? {} : { lid }) }
}

/** A text that somebody wrote to the bot; null for anything else. */
export function incomingOf ({ key, message, messageTimestamp }: WAMessage): Incoming | null {
  if (key.fromMe || !key.id || !key.remoteJid || isJidGroup(key.remoteJid)) return null
  const content = normalizeMessageContent(message)
  const text = content?.conversation ?? content?.extendedTextMessage?.text
  const from = personOf([key.remoteJid, key.remoteJidAlt])
  if (!text || (from.phone ?? from.lid) === undefined) return null
  return { id: key.id, from, text: text.slice(0, TEXT_LENGTH_MAX), sentAt: Number(messageTimestamp ?? 0) * 1_000 }
}
