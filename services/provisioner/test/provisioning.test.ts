import t from 'tap'
import { randomUUID } from 'node:crypto'
import { validatorOf } from '../../common/envelope.ts'
import { afterDiscard, afterInstall, afterLostCreate, afterProbe, begun, failing, nextStep, Progress, troubled, withoutServer } from '../provisioning.ts'

const claimId = randomUUID()
const fresh = begun(claimId, 'abcdefghijklmnopqrst')
const known: Progress = { ...fresh, user: { id: 7, username: 'someone' }, is_password_sure: true }
const made: Progress = { ...known, port: { id: 3, node: 1, host: '127.0.0.1', port: 20_001 }, server: { id: 9, uuid: randomUUID(), identifier: 'abcdef12', made_at: 1_000 } }
const installed: Progress = { ...made, installed_at: 2_000 }

t.test('the next step', async (t) => {
  t.equal(nextStep(fresh), 'account')
  t.equal(nextStep({ ...known, is_password_sure: false }), 'account', 'is the account again where its password is not sure')
  t.equal(nextStep({ ...installed, is_password_sure: false }), 'account', 'at any time before the end')
  t.equal(nextStep(known), 'create')
  t.equal(nextStep({ ...known, create_sent_at: 5 }), 'create')
  t.equal(nextStep(made), 'install')
  t.equal(nextStep({ ...made, is_discarded: true }), 'discard')
  t.equal(nextStep(installed), 'probe')
  t.same((['cleanup', 'ready', 'failed', 'deleted'] as const).map((state) => nextStep({ ...installed, state })), ['cleanup', 'say_ready', 'say_failed', 'nothing'])
})

t.test('an install', async (t) => {
  t.match(afterInstall(made, 'installed', 3_000), { installed_at: 3_000 })
  const failed = afterInstall(made, 'failed', 0)
  t.equal(nextStep(failed), 'discard', 'that failed is tried again')
  t.match(afterDiscard(failed), { attempt: 2, failed_installs: 1 })
  t.equal(nextStep(afterDiscard(failed)), 'create')
  t.match(afterInstall({ ...made, failed_installs: 1 }, 'failed', 0), { state: 'cleanup', failure: { code: 'INSTALL_FAILED', step: 'install' } }, 'once')
  t.match(afterInstall(made, 'late', 0), { state: 'cleanup', failure: { code: 'INSTALL_TIMEOUT' }, server: { id: 9 } }, 'that is late leaves its server to be removed')
  t.equal(nextStep(afterInstall(made, 'vanished', 0)), 'create')
  t.match(afterInstall({ ...made, vanished: 1 }, 'vanished', 0), { state: 'cleanup', failure: { code: 'SERVER_VANISHED' } })
})

t.test('a probe', async (t) => {
  t.equal(nextStep(afterProbe(installed, 'up')), 'say_ready')
  t.match(afterProbe(installed, 'late'), { state: 'cleanup', failure: { code: 'HEALTHCHECK_TIMEOUT', step: 'probe' } })
  t.equal(nextStep(afterProbe(installed, 'vanished')), 'create')
})

t.test('a lost create', async (t) => {
  const verdict = (found: { status: string | null } | null, now: number) => afterLostCreate(found, 1_000, now, 36_000)
  t.equal(verdict({ status: null }, 1_500), 'adopt', 'is over where its server has left the installing state')
  t.same(verdict({ status: 'installing' }, 1_500), { waitMs: 35_500 }, 'is not over while its row may still be taken back')
  t.same(verdict(null, 36_999), { waitMs: 1 }, 'and may still come')
  t.equal(verdict(null, 37_000), 'create_again')
  t.equal(verdict({ status: 'installing' }, 37_000), 'adopt')
})

t.test('a trouble', async (t) => {
  const first = troubled(known, 'NODE_DOWN', 1_000, 5_000)
  t.match(first, { trouble: { code: 'NODE_DOWN', since: 1_000 } })
  t.match(troubled(first ?? known, 'NODE_DOWN', 5_999, 5_000), { trouble: { since: 1_000, seen_at: 5_999 } }, 'is waited for from when it began')
  t.equal(troubled(first ?? known, 'NODE_DOWN', 6_000, 5_000), null, 'and no longer than its time')
  t.match(troubled(first ?? known, 'PANEL_DOWN', 9_000, 5_000), { trouble: { code: 'PANEL_DOWN', since: 9_000 } }, 'of another kind begins anew')
  t.match(troubled(first ?? known, 'NODE_DOWN', 1_000 + 21 * 60_000, 5_000), { trouble: { since: 1_000 + 21 * 60_000 } }, 'that passed in between begins anew')
})

t.test('what is written down can be read again', async (t) => {
  for (const progress of [fresh, known, made, installed, failing(made, 'EGG_INVALID', 'create'), withoutServer(installed), afterInstall(made, 'failed', 0)]) {
    t.ok(validatorOf(Progress).Check(JSON.parse(JSON.stringify(progress))))
  }
  t.same(withoutServer(installed), known)
})
