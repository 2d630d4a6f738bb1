import t from 'tap'
import { intentOf, languageFor, NEW_TALK, replyTo, type Claim, type Talk } from '../conversation.ts'
import { createRecentMessages } from '../recent-messages.ts'
import { withSecret } from '../whatsapp.ts'
import { checkAddress, WHATSAPP_ADDRESS } from '../address.ts'

const active: Claim = { status: 'active', deletionStarted: false, deletionAt: null, hasAccount: true }
const now = 1_000_000_000
const MINUTE = 60_000

t.test('what a text asks for', async (t) => {
  const rows: Array<[string, string]> = [
    ['STATUS', 'status'], [' status? ', 'status'], ['cek', 'status'], ['SANDI', 'login'], ['sandi dong kak', 'login'], ['Password!', 'login'], ['lupa kata sandi', 'login'],
    ['HAPUS DATA', 'erase'], ['hapus data saya.', 'erase'], ['Delete my data', 'erase'], ['hapus', 'other'], ['hapus data dong kak', 'other'], ['jangan hapus data saya', 'other'], ['bagaimana cara hapus data', 'other'],
    ['bantuan', 'help'], ['hi', 'help'], ['halo', 'help'], ['terima kasih', 'other'], ['', 'other'], ['my password is not a word for strangers at all', 'other'], ['🙏', 'other'],
  ]
  for (const [text, intent] of rows) t.equal(intentOf(text), intent, `"${text}" is ${intent}`)
})

t.test('in which language', async (t) => {
  t.equal(languageFor('SANDI', null), 'id')
  t.equal(languageFor('password', null), 'en')
  t.equal(languageFor('password', { ...active, language: 'id' }), 'id', 'that of the claim where there is one')
})

t.test('what a member hears', async (t) => {
  const said = (intent: 'status' | 'login' | 'help' | 'other', claim: Claim | null) => {
    const { reply } = replyTo(intent, claim, 'present', NEW_TALK, now)
    return reply.kind === 'say' ? reply.key : reply.kind
  }
  const rows: Array<[Claim | null, string, string]> = [
    [null, 'status_none', 'login_no_server'],
    [{ ...active, status: 'creating', hasAccount: false, step: 'install' }, 'status_creating', 'login_not_yet'],
    [active, 'status_active', 'login'],
    [{ ...active, status: 'failed', failureCode: 'NO_FREE_PORT' }, 'status_failed', 'login_no_server'],
    [{ ...active, status: 'deleting', deletionAt: now }, 'status_deleting', 'login'],
    [{ ...active, status: 'deleting', deletionAt: now, deletionStarted: true }, 'status_deleting_now', 'login_too_late'],
    [{ ...active, status: 'deleted', hasAccount: false }, 'status_deleted', 'login_no_server'],
  ]
  for (const [claim, status, login] of rows) {
    t.equal(said('status', claim), status, `${claim?.status ?? 'no claim'}: ${status}`)
    t.equal(said('login', claim), login, `${claim?.status ?? 'no claim'}: ${login}`)
    t.equal(said('help', claim), 'help')
  }
})

t.test('whoever wants to be forgotten', async (t) => {
  const said = (claim: Claim | null, membership: 'present' | 'absent' | 'unknown', isNamed = true) => {
    const { reply } = replyTo('erase', claim, membership, NEW_TALK, now, isNamed)
    return reply.kind === 'say' ? reply.key : reply.kind
  }
  for (const status of ['failed', 'deleted'] as const) for (const membership of ['present', 'absent', 'unknown'] as const) t.equal(said({ ...active, status }, membership), 'erase', `${status}, ${membership}`)
  for (const status of ['creating', 'active', 'deleting'] as const) t.equal(said({ ...active, status }, 'absent'), 'erase_has_server', status)
  t.same([said(null, 'present'), said(null, 'absent'), said(null, 'unknown')], ['erase_nothing_member', 'erase_nothing', 'erase_nothing'])
  t.same([said(null, 'present', false), said(null, 'absent', false)], ['unavailable', 'stranger'], 'nothing is promised to somebody whose number is hidden')
  let talk: Talk = NEW_TALK
  const replies = Array.from({ length: 3 }, () => {
    const answered = replyTo('erase', null, 'absent', talk, now)
    talk = answered.talk
    return answered.reply.kind
  })
  t.same(replies, ['say', 'silence', 'silence'], 'a stranger hears it once an hour')
  t.equal(languageFor('delete my data', null), 'en')
})

t.test('nobody gets too much', async (t) => {
  const talking = (intent: 'status' | 'login' | 'help' | 'other', claim: Claim | null, membership: 'present' | 'absent' | 'unknown', times: number[]): string[] => {
    let talk: Talk = NEW_TALK
    return times.map((at) => {
      const answered = replyTo(intent, claim, membership, talk, now + at)
      talk = answered.talk
      return answered.reply.kind === 'say' ? answered.reply.key : answered.reply.kind
    })
  }
  t.same(talking('login', active, 'present', [0, 59_999, 60_000]), ['login', 'login_too_soon', 'login'], 'one new password a minute')
  t.same(replyTo('login', active, 'present', { ...NEW_TALK, loginAt: now - 20_000 }, now).reply, { kind: 'say', key: 'login_too_soon', values: { seconds: 40 } })
  t.same(talking('status', null, 'absent', [0, 1, 59 * MINUTE, 61 * MINUTE]), ['stranger', 'silence', 'silence', 'stranger'], 'a stranger one answer an hour')
  t.same(talking('status', null, 'unknown', [0, 1]), ['unavailable', 'silence'], 'nor somebody of whom nothing is known')
  t.same(talking('other', active, 'absent', [0, 1, 11 * MINUTE]), ['help', 'silence', 'help'], 'small talk a hint now and then')
  t.equal(talking('help', active, 'present', Array.from({ length: 50 }, (_, n) => n)).filter((key) => key === 'help').length, 20, 'and everybody at most 20 an hour')
})

t.test('what is kept for resending', async (t) => {
  const recent = createRecentMessages<string>(30)
  recent.remember('one', 'text')
  t.equal(recent.recall('one'), 'text')
  t.equal(recent.recall('two'), undefined, 'nothing is invented')
  for (let n = 0; n < 600; n++) recent.remember(`n${n}`, 'x')
  t.equal(recent.recall('one'), undefined, 'is bounded')
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.equal(recent.recall('n599'), undefined, 'and forgotten')
})

t.test('the QR text takes a fresh secret', async (t) => {
  t.equal(withSecret('https://wa.me/settings/linked_devices#ref,noise,identity,old,1', 'new'), 'https://wa.me/settings/linked_devices#ref,noise,identity,new,1')
  t.throws(() => withSecret('something else', 'new'), { code: 'WHATSAPP_QR_UNKNOWN' })
})

t.test('another address than WhatsApp', async (t) => {
  const real = Buffer.from('142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b', 'hex')
  t.throws(() => { checkAddress('ws://127.0.0.1:1/ws/chat', real) }, { code: 'WHATSAPP_URL_REFUSED', kind: 'permanent' }, 'is refused by a process that trusts WhatsApp')
  t.doesNotThrow(() => { checkAddress('ws://127.0.0.1:1/ws/chat', Buffer.alloc(32)) }, 'and taken by one that was started to trust another root')
  t.doesNotThrow(() => { checkAddress(WHATSAPP_ADDRESS, real) })
})
