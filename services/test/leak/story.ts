// Everything that people, an outside bot, a careless operator and a quoting panel say to the system in which a number, a password or a key stands.
import { createHmac, randomUUID } from 'node:crypto'
import { connect } from '@nats-io/transport-node'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { CHECK_MEMBER_PATH, INTERNAL_SECRET_HEADER } from '../../../contracts/http.ts'
import { sessionBucket } from '../../../contracts/streams.ts'
import type { System } from '../../../deploy/staging/system.ts'
import { connectNats } from '../../common/connect.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { actor, until } from '../journey.ts'
import type { PanelBetween } from './panel-between.ts'
import type { Answer, Visitor } from './witness.ts'

/** Of the form: no request ever says who really chose it. */
export const CHOSEN_PASSWORD = 'Pilihan-Ku "2026" & rahasia%'
/** What the gateway lets one number ask. */
export const TRIES_PER_MINUTE = 3
export const member = (n: number): string => `62812${String(n).padStart(8, '0')}`
export const outsider = (n: number): string => `62813${String(n).padStart(8, '0')}`
/** `0812 0000 0001` */
const local = (digits: string): string => `0${digits.slice(2, 5)} ${digits.slice(5, 9)} ${digits.slice(9)}`

export interface Stage { readonly system: System, readonly visitor: Visitor, readonly panel: PanelBetween, readonly secret: (variable: 'WEBHOOK_SECRETS' | 'INTERNAL_SECRET') => string }

const JSON_HEADERS = { 'content-type': 'application/json' }
const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({ method: 'POST', headers: { ...JSON_HEADERS, ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body) })

export function createStory ({ system, visitor, panel, secret }: Stage) {
  const gateway = system.gatewayUrls[0] ?? ''
  const form = (digits: string, over: Record<string, unknown> = {}) => ({ username: `user${digits.slice(-4)}`, password: CHOSEN_PASSWORD, wa_number_e164: local(digits), template: 'nodejs', ...over })
  const claimBy = async (digits: string, over: Record<string, unknown> = {}) => await visitor.ask('API', `${gateway}/api/claim`, post(form(digits, over)))
  const turn = async (knobs: Record<string, unknown>): Promise<void> => { await fetch(`${system.whatsappUrl}/knobs`, { ...post(knobs), method: 'PATCH' }) }

  async function progress (claimId: string): Promise<string> {
    const { json } = await visitor.ask('API', `${gateway}/api/claim/${claimId}/status`)
    return (json as { status: string }).status
  }
  const becomes = async (claimId: string, status: string): Promise<void> => { await until(`the claim is ${status}`, async () => await progress(claimId) === status || undefined) }

  async function claimed (digits: string): Promise<string> {
    const answer = await claimBy(digits)
    if (answer.status !== 202) throw new Error(`a claim was answered ${answer.status}`)
    return (answer.json as { claim_id: string }).claim_id
  }

  /** Waits until so many messages of the bot fit. */
  async function hears (digits: string, words: RegExp, times = 1): Promise<string[]> {
    return await until(`the bot says ${String(words)} ${times} times`, async () => {
      const said = (await actor(system, digits).chat()).filter(({ from, text }) => from === 'bot' && words.test(text)).map(({ text }) => text)
      return said.length >= times ? said : undefined
    })
  }
  const writes = async (digits: string, text: string): Promise<void> => { await actor(system, digits).write(text) }

  /** Asks for one number until that is too often, which may take twice as many tries where a new minute begins between them. Answers the try that was stopped and those that its minute allowed before. */
  async function triesOf (digits: string): Promise<Answer[]> {
    const written = [`+${digits}`, local(digits), local(digits).replaceAll(' ', '-'), digits]
    const answers: Answer[] = []
    while (answers.at(-1)?.status !== 429 && answers.length <= 2 * TRIES_PER_MINUTE) answers.push(await claimBy(digits, { wa_number_e164: written[answers.length % written.length] }))
    return answers.slice(-TRIES_PER_MINUTE - 1)
  }

  async function refusedAtTheForm (): Promise<number[]> {
    const digits = member(9)
    const asked = [
      await claimBy(digits, { wa_number_e164: `${local(digits)} x` }),
      await claimBy(outsider(1)),
      await claimBy(digits, { password: 'short' }),
      await claimBy(digits, { username: `${local(digits)}!` }),
      await claimBy(digits, { username: `saya-0${digits.slice(2)}` }),
      await claimBy(digits, { note: `+${digits}` }),
      await claimBy(digits, { template: CHOSEN_PASSWORD }),
      await visitor.ask('API', `${gateway}/api/claim`, post(`{"wa_number_e164":"+${digits}","password":${JSON.stringify(CHOSEN_PASSWORD)},`)),
      await visitor.ask('API', `${gateway}/api/claim`, post(form(digits, { username: 'x'.repeat(20_000) }))),
      await visitor.ask('API', `${gateway}/api/claim`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: `+${digits} ${CHOSEN_PASSWORD}` }),
      await visitor.ask('API', `${gateway}/api/claim/+${digits}/status?wa=${encodeURIComponent(local(digits))}`, { headers: { 'x-forwarded-for': digits, cookie: `wa=${digits}`, 'user-agent': local(digits), referer: `https://wa.me/${digits}` } }),
      await visitor.ask('API', `${gateway}/api/${digits}@s.whatsapp.net`, { headers: { 'accept-language': digits, 'x-request-id': digits } }),
      await visitor.ask('API', `${gateway}/api/claim?password=${encodeURIComponent(CHOSEN_PASSWORD)}`),
    ]
    asked.push(...await triesOf(outsider(2)))
    await visitor.send('API', gateway, `GET /${digits} HTTP/9.9\r\nX: ${CHOSEN_PASSWORD}\r\n\r\n`)
    await visitor.send('API', gateway, `POST /api/claim HTTP/1.1\r\nHost: x\r\nX: ${`+${digits} `.repeat(2_000)}\r\n\r\n`)
    return asked.map(({ status }) => status)
  }

  /** The page without JavaScript shows again what was typed, to whoever typed it; a password has no field there. */
  async function refusedAtThePage (): Promise<number[]> {
    const posted = (fields: Record<string, string>): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' }, body: new URLSearchParams(fields).toString() })
    const digits = outsider(3)
    const shown = await visitor.ask('page', `${gateway}/`, posted({ wa_number_e164: local(digits), username: 'user', template: 'nodejs' }))
    const withPassword = await visitor.ask('page', `${gateway}/`, posted({ wa_number_e164: local(digits), username: 'user', template: 'nodejs', password: CHOSEN_PASSWORD }))
    const lost = await visitor.ask('page that is not there', `${gateway}/${digits}?wa=${digits}`, { headers: { accept: 'text/html' } })
    return [shown.status, withPassword.status, lost.status]
  }

  async function noticesOfAnOutsideBot (): Promise<Array<string | number>> {
    const digits = outsider(1)
    const notice = { event: 'join', wa_jid: `${digits}@s.whatsapp.net`, group_id: system.group, occurred_at: new Date().toISOString(), nonce: `${digits}-${randomUUID()}` }
    const tell = async (body: string, { key = secret('WEBHOOK_SECRETS').split(',')[0] ?? '', at = Date.now() } = {}): Promise<string | number> => {
      const timestamp = String(Math.floor(at / 1_000))
      const headers = { 'x-timestamp': timestamp, 'x-signature': createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex') }
      const answer = await visitor.ask('API', `${gateway}/api/whatsapp-webhook`, post(body, headers))
      return answer.status === 202 ? 202 : (answer.json as { error: { code: string } }).error.code
    }
    const body = JSON.stringify(notice)
    return [
      await tell(body), await tell(body), await tell(body, { key: 'x'.repeat(32) }), await tell(body, { at: Date.now() - 3_600_000 }),
      await tell(JSON.stringify({ ...notice, group_id: `${digits}-1500000000@g.us` })), await tell(JSON.stringify({ ...notice, wa_jid: `+${digits}` })), await tell(`${digits} is no JSON`),
    ]
  }

  /** The bot's internal port, with and without the secret. Only a proper question is answered with a number. */
  async function internalPort (): Promise<number[]> {
    const url = `${system.botUrl}${CHECK_MEMBER_PATH}`
    const [key = ''] = secret('INTERNAL_SECRET').split(',')
    const known = { [INTERNAL_SECRET_HEADER]: key }
    const question = { wa_jid: `${member(9)}@s.whatsapp.net` }
    const asked = [
      await visitor.ask('internal port', url, post(question)),
      await visitor.ask('internal port', url, post(question, { [INTERNAL_SECRET_HEADER]: `${key}x` })),
      await visitor.ask('internal port', url, post({ wa_jid: `+${member(9)}` }, known)),
      await visitor.ask('internal port', url, post(`{"wa_jid":"${member(9)}`, known)),
      await visitor.ask('internal port', url, post({ ...question, note: member(9).repeat(200) }, known)),
      await visitor.ask('internal port', `${system.botUrl}/${member(9)}`, { headers: known }),
      await visitor.ask('internal port', `${system.botUrl}/internal/pairing`, { headers: known }),
      await visitor.ask('membership that was asked for', url, post({ ...question, live: true }, known)),
    ]
    await visitor.send('internal port', system.botUrl, `GET /${member(9)} HTTP/9.9\r\n${INTERNAL_SECRET_HEADER}: ${key}\r\n\r\n`)
    return asked.map(({ status }) => status)
  }

  /** Junk on a stream, junk in a question, and a client of NATS with a password. */
  async function carelessOperator (): Promise<void> {
    const connection = await connectNats(system.nats.access('operator'), 'operator')
    const waJid = `${member(8)}@s.whatsapp.net`
    const memberId = memberIdOf(system.memberIdKey, waJid)
    await jetstream(connection).publish(`members.${memberId}.left`, JSON.stringify({ member_id: memberId, wa_jid: waJid, group_id: system.group, occurred_at: 'yesterday', observed_by: CHOSEN_PASSWORD.length }), { msgID: randomUUID() })
    for (const subject of ['klaim.claim-store.get', 'klaim.bot.send_login', 'klaim.provisioner.reset_password', 'klaim.reaper.set_brake']) {
      for (const question of [`{"wa_jid":"${member(8)}`, JSON.stringify({ wa_jid: member(8), claim_id: waJid, by: member(8).repeat(20) })]) await connection.request(subject, question, { timeout: 5_000 })
    }
    await connection.request('klaim.claim-store.get', JSON.stringify({ wa_jid: `${member(1)}@s.whatsapp.net` }), { timeout: 5_000 })
    const dead = async (): Promise<true | undefined> => (await (await jetstreamManager(connection)).streams.info('DEAD_LETTERS')).state.messages >= 2 || undefined
    await until('the dead letters are there', dead)
    await connection.close()
    await connect({ servers: system.nats.url, user: 'nobody', pass: CHOSEN_PASSWORD, reconnect: false }).then(async (open) => { await open.close() }, () => {})
  }

  /** Claims, gets the login, asks for another one, and writes what nobody should write. */
  async function talksAboutSecrets (digits: string): Promise<void> {
    const claimId = await claimed(digits)
    await claimBy(digits)
    await becomes(claimId, 'active')
    const [password = ''] = await hears(digits, /^\S{32}$/)
    await writes(digits, 'STATUS')
    await hears(digits, /^Server kamu aktif/)
    await writes(digits, 'SANDI')
    await hears(digits, /^\S{32}$/, 2)
    await writes(digits, 'sandi')
    await hears(digits, /^Kata sandi baru saja dibuat/)
    for (const text of [`nomor saya ${local(digits)}`, `+${digits}`, `sandi saya ${password}`, `password ${CHOSEN_PASSWORD}`, digits, 'STATUS']) await writes(digits, text)
    await hears(digits, /^Server kamu aktif/, 2)
    await visitor.ask('claim page', `${gateway}/claim/${claimId}`, { headers: { accept: 'text/html' } })
  }

  /** The panel refuses and quotes; the claim fails. */
  async function isRefusedByThePanel (digits: string): Promise<void> {
    panel.quoteNext({ method: 'POST', path: '/users', text: digits, status: 422 })
    const claimId = await claimed(digits)
    await becomes(claimId, 'failed')
    await hears(digits, /tidak jadi dibuat/)
    await writes(digits, 'STATUS')
    await hears(digits, /^Server kamu tidak jadi dibuat/)
  }

  /** The panel is in trouble and quotes, WhatsApp refuses the login, and neither side can read the other's messages for a while. */
  async function isHardToReach (digits: string): Promise<void> {
    panel.quoteNext({ method: 'POST', path: '/users', text: digits, status: 500 })
    await turn({ refuseSends: { code: 463, remaining: 1 } })
    const claimId = await claimed(digits)
    panel.quoteNext({ method: 'POST', path: '/servers', text: claimId, status: 500 })
    await becomes(claimId, 'active')
    await until('the login is refused', async () => {
      const deliveries = await (await fetch(`${system.whatsappUrl}/chats/${digits}`)).json() as { deliveries: Array<{ outcome: string }> }
      return deliveries.deliveries.some(({ outcome }) => outcome === 'refused') || undefined
    })
    await turn({ unreadable: 2 })
    await writes(digits, 'STATUS')
    await hears(digits, /^Server kamu aktif/)
    for (let phones = 0; phones < 2; phones++) {
      await fetch(`${system.whatsappUrl}/people/${digits}/reinstall`, post({}))
      await writes(digits, phones === 0 ? 'SANDI' : 'bantuan')
    }
    await hears(digits, /^\S{32}$/)
    await hears(digits, /^Aku bot server grup/)
  }

  /** Takes a bot that has forgotten its sessions with everybody; what members write cannot be decrypted until they send it again. Then the bot is killed. */
  async function meetsAForgetfulBot (digits: string, another: string): Promise<void> {
    await system.kill('bot', 'SIGTERM')
    const connection = await connectNats(system.nats.access('operator'), 'operator')
    await (await jetstreamManager(connection)).streams.purge(`KV_${sessionBucket.name}`, { filter: `$KV.${sessionBucket.name}.session.>` })
    await connection.close()
    await writes(digits, 'bantuan')
    await system.start('bot')
    await hears(digits, /^Aku bot server grup/, 2)
    await system.kill('bot', 'SIGKILL')
    await system.start('bot')
    await claimed(another)
    await hears(another, /^\S{32}$/)
  }

  /** Leaves, is warned, returns, and leaves for good. */
  async function leaves (digits: string): Promise<void> {
    const person = actor(system, digits)
    await person.leave()
    await hears(digits, /akan dihapus/)
    await person.join()
    await hears(digits, /dibatalkan karena/)
    await person.leave()
    await hears(digits, /sudah dihapus/)
    await writes(digits, 'SANDI')
    await hears(digits, /belum punya server/)
  }

  return { refusedAtTheForm, refusedAtThePage, noticesOfAnOutsideBot, internalPort, carelessOperator, talksAboutSecrets, isRefusedByThePanel, isHardToReach, meetsAForgetfulBot, leaves }
}
