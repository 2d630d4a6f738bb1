import t from 'tap'
import { join } from 'node:path'
import { FAILURE_CODES } from '../../../contracts/codes.ts'
import { messageOutbound } from '../../../contracts/events/messages.ts'
import { loadMessages } from '../../common/messages.ts'
import { LANGUAGES } from '../../common/phrases.ts'
import { problemsOf, validatorOf } from '../../common/envelope.ts'
import { createWording, type Notice } from '../wording.ts'

const wording = createWording(loadMessages(join(import.meta.dirname, '../../../config/messages')), 'https://panel.example/')
const claim_id = '0b2f3c64-8c0e-4d36-9d6c-0d6f0a3b1c11'
const job = `${claim_id}-d1`
const claim = { claim_id, member_id: 'abcdefghijklmnopqrst', wa_jid: '6281200000001@s.whatsapp.net' }
const due = '2026-11-24T02:30:00.500Z'
const server = {
  user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node.example', port: 25565 },
  username: 'member1', sealed_password: 'aaaa..bbbb.cccc.dddd', template: 'nodejs',
}

for (const language of LANGUAGES) {
  const to = { ...claim, language }
  const notices = (): Record<string, Notice> => ({
    login: wording.activated({ ...to, ...server }),
    renamed: wording.activated({ ...to, ...server, username: 'member1-abcd' }),
    ...Object.fromEntries(FAILURE_CODES.map((code) => [code, wording.failed({ ...to, code, step: 'install' })])),
    left: wording.deletionScheduled({ ...to, delete_job_id: job, deletion_scheduled_at: due, left_at: due, reason: 'left' }),
    outage: wording.deletionScheduled({ ...to, delete_job_id: job, deletion_scheduled_at: due, left_at: due, reason: 'outage' }),
    operator: wording.deletionScheduled({ ...to, delete_job_id: job, deletion_scheduled_at: due, left_at: due, reason: 'operator', operation: 'extend' }),
    now: wording.deletionScheduled({ ...to, delete_job_id: job, deletion_scheduled_at: due, left_at: due, reason: 'operator', operation: 'delete', even_if_present: true }),
    cancelled: wording.deletionCancelled({ ...to, delete_job_id: job, reason: 'returned' }),
    cancelledByOperator: wording.deletionCancelled({ ...to, delete_job_id: job, reason: 'operator' }),
    deleted: wording.deleted({ ...to, delete_job_id: job, user_deleted: true }),
    accountKept: wording.deleted({ ...to, delete_job_id: job, user_deleted: false }),
  })
  const { login, renamed, left, outage, operator, now, cancelled, cancelledByOperator, deleted, accountKept } = notices() as Record<string, Notice> & { login: Notice }

  t.test(`${language}: every notice`, async (t) => {
    for (const [name, notice] of Object.entries(notices())) {
      t.ok(validatorOf(messageOutbound.data).Check(notice), `${name} is a valid message ${problemsOf(messageOutbound.data, notice)}`)
      for (const part of notice.parts) t.ok(part.split('\n').length <= 8, `${name} fits a phone's screen`)
      const open = notice.parts.join('\n').match(/\{\w*\}?/g) ?? []
      t.same(open, notice.kind === 'login' ? ['{password}'] : [], `${name} leaves nothing to be filled in but the password`)
    }
    const texts = Object.values(notices()).map(({ parts }) => parts.join())
    t.equal(new Set(texts).size, texts.length, 'says something of its own')
    t.same(notices(), notices(), 'is the same when the event comes again')
  })

  t.test(`${language}: the login`, async (t) => {
    t.match(login.parts[0], /https:\/\/panel\.example\n.*member1\n.*node\.example:25565\n/)
    t.equal(login.parts[1], '{password}', 'has the password alone in a part of its own')
    t.equal(login.sealed_password, server.sealed_password, 'which only the bot can open')
    t.equal(login.message_id, `login-${claim_id}`)
    t.notMatch(login.parts[0], /\(/)
    t.match(renamed?.parts[0], /member1-abcd\n\(/, 'says where the user name is not the chosen one')
    t.match(wording.activated({ ...to, ...server, username: 'member1-abcdefgh' }).parts[0], /\n\(/, 'however long its ending')
    t.notMatch(wording.activated({ ...to, ...server, username: 'member1-team' }).parts[0], /\n\(/, 'but not where a chosen name looks like it')
    t.match(wording.activated({ ...to, ...server, address: { host: '2001:db8::1', port: 1 } }).parts[0], /\[2001:db8::1\]:1\n/)
  })

  t.test(`${language}: a leave warning`, async (t) => {
    t.match(left?.parts[0], language === 'id' ? /Selasa, 24 November 2026 pukul 09\.30 WIB/ : /Tuesday,? 24 November 2026 at 09:30 WIB/, 'tells the time in WIB')
    t.match(left?.parts[0], language === 'id' ? /Gabung lagi ke grup/ : /Rejoin the group/, 'and how to cancel')
    t.equal(left?.message_id, `leave-${job}-1795487400`)
    t.equal(left?.expires_at, due, 'is not sent after the time it speaks of')
    t.match(outage?.parts[0], language === 'id' ? /diundur|undur/ : /put off/)
    t.match(operator?.parts[0], language === 'id' ? /Gabung lagi/ : /Rejoin/)
    t.notMatch(now?.parts[0], language === 'id' ? /Gabung lagi|WIB/ : /Rejoin|WIB/, 'does not promise that returning undoes what an operator decided')
    t.ok(Date.parse(now?.expires_at ?? '') > Date.parse(due), 'which is told although it is due at once')
  })

  t.test(`${language}: what became of the deletion`, async (t) => {
    t.same([cancelled?.message_id, deleted?.message_id], [`cancelled-${job}`, `deleted-${job}`])
    t.notSame(cancelled?.parts, cancelledByOperator?.parts)
    t.notSame(deleted?.parts, accountKept?.parts)
  })
}
