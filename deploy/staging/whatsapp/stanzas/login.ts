/** Login of a linked device, and what it missed while it was away. */
import type { proto } from '@whiskeysockets/baileys'
import { type Connection, connectionOf, type Double } from '../double.ts'
import { take } from '../knobs.ts'
import { seconds, serverJid, stanza, type Stanza } from '../stanza.ts'
import { botOf, lidJid, personByNumber } from '../world.ts'

export const failure = (code: number): Stanza => stanza('failure', { reason: code, location: 'stg' })
export const streamError = (code: number | undefined, conflict?: string): Stanza =>
  stanza('stream:error', { code }, conflict === undefined ? [] : [stanza('conflict', { type: conflict })])

/** A device is who it says it is when it proved to hold the noise key that it was linked with. */
export function login (double: Double, connection: Connection, payload: proto.ClientPayload, noiseKey: Buffer): void {
  const bot = botOf(double.world)
  const refused = take(double.knobs.loginError)
  if (refused) return connection.end(failure(refused.code))
  if (double.world.banned.includes(personByNumber(double.world, String(payload.username))?.lid ?? '')) return connection.end(failure(406))
  const companion = double.world.companions.find(({ device }) => device === payload.device)
  if (!companion || String(payload.username) !== bot.number || !noiseKey.equals(companion.noiseKey)) return connection.end(failure(401))

  // One connection per device: the newer one wins.
  connectionOf(double, companion)?.end(streamError(undefined, 'replaced'))
  connection.companion = companion
  connection.send(stanza('success', { t: seconds(), lid: lidJid(bot, companion.device), display_name: bot.name, props: '1', location: 'stg' }))

  const missed = [...companion.queue]
  const counted = (tag: string) => missed.filter((one) => one.tag === tag).length
  connection.send(stanza('ib', { from: serverJid }, [stanza('offline_preview', {
    count: missed.length, notification: counted('notification'), message: counted('message'), receipt: counted('receipt')
  })]))
  for (const [index, one] of missed.entries()) connection.send({ ...one, attrs: { ...one.attrs, offline: String(index) } })
  connection.send(stanza('ib', { from: serverJid }, [stanza('offline', { count: missed.length })]))
  double.noticed()
}
