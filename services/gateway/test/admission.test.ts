// Claims are closed and opened by an operator, for every gateway.
import t from 'tap'
import { operatorActed } from '../../../contracts/events/operations.ts'
import { closeClaims, openClaims } from '../../../contracts/requests.ts'
import { admissionBucket } from '../../../contracts/streams.ts'
import { transient } from '../../common/fault.ts'
import { createAdmission } from '../admission.ts'
import { CLAIM_ID, FORM, OTHER_CLAIM_ID, startWorld } from './world.ts'

const world = await startWorld(t)
const { bot, store, nats } = world
const word = { by: 'budi@noc', why: 'the panel moves' }

t.test('while claims are closed', async (t) => {
  const [app, operator] = [await world.app(t), await world.bus(t)]
  const post = async (key?: string) => await app.inject({ method: 'POST', url: '/api/claim', payload: FORM, ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }) })
  // As claim-store does it: the same key finds the same claim.
  const taken = new Map<string, string>()
  store.create = ({ claim_id, idempotency_key_hash: hash = '', closed }) => {
    const known = taken.get(hash)
    if (known !== undefined) return { ok: true, claim_id: known }
    if (closed) return { ok: false, rejection: 'CLAIMS_CLOSED' }
    if (hash !== '') taken.set(hash, claim_id)
    return { ok: true, claim_id }
  }
  const before = await post('the-same-tap-1')
  t.equal(before.statusCode, 202)

  t.same(await operator.request(closeClaims, { ...word, dry_run: true }), { ok: true, outcome: 'done' }, 'tried out first')
  t.equal((await post('another-tap-1')).statusCode, 202, 'nothing is closed')
  t.same(await operator.request(closeClaims, word), { ok: true, outcome: 'done' })
  t.same(await operator.request(closeClaims, word), { ok: true, outcome: 'already' })
  bot.asked.length = 0
  const refused = await post()
  t.match(refused, { statusCode: 503, headers: { 'retry-after': '300' } })
  t.match(refused.json(), { error: { code: 'CLAIMS_CLOSED', message: /ditutup/, retry_after: 300 } }, 'a visitor is told so, in their language')
  t.match((await app.inject({ method: 'POST', url: '/', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: new URLSearchParams(FORM).toString() })).body, /ditutup/, 'on the page, too')
  t.equal(bot.asked.length, 0, 'and WhatsApp is not asked for them')
  const again = await post('the-same-tap-1')
  t.same([again.statusCode, again.json()], [202, before.json()], 'who pressed before finds their claim')
  store.claims.set(CLAIM_ID, { claim_id: CLAIM_ID, wa_jid: '6281200000001@s.whatsapp.net', member_id: 'abcdefghijklmnopqrst', status: 'creating', user_id: null, server_id: null, allocation_id: null, deletion_scheduled_at: null, delete_job_id: null, created_at: new Date().toISOString(), updated_at: new Date().toISOString(), last_event_at: new Date().toISOString() })
  t.equal((await app.inject(`/api/claim/${CLAIM_ID}/status`)).statusCode, 200, 'and sees how it goes on')

  const other = await world.bus(t)
  t.ok(await createAdmission(await other.bucket(admissionBucket)).isClosed(), 'another gateway, or one that starts later, knows it')
  t.same(await operator.request(openClaims, word), { ok: true, outcome: 'done' })
  t.same(await operator.request(openClaims, word), { ok: true, outcome: 'already' })
  t.equal((await post()).statusCode, 202, 'until they are opened')

  const { state } = await operator.raw.jsm.streams.info('OPERATIONS', { subjects_filter: '>' })
  t.same(state.subjects, { 'operations.gateway.none': 8 }, 'each time it is said who wanted it, tried out or not done alike but the first')
  t.match(await operator.last('OPERATIONS', 'operations.gateway.none', [operatorActed('gateway')]), { event: { data: { operation: 'open_claims', ...word, outcome: 'already' } } })
})

t.test('whether claims are taken', async (t) => {
  const bus = await world.bus(t)
  const bucket = await bus.bucket(admissionBucket)
  const app = await world.app(t, {}, { admission: createAdmission(bucket) })
  await nats.kill()
  t.match((await app.inject({ method: 'POST', url: '/api/claim', payload: FORM })).json(), { error: { code: 'UNAVAILABLE' } }, 'is not guessed while NATS is away')
  await nats.restart()
  store.create = () => ({ ok: true, claim_id: OTHER_CLAIM_ID })
  for (;;) if ((await app.inject({ method: 'POST', url: '/api/claim', payload: FORM })).statusCode === 202) break
  t.notOk(await createAdmission(bucket).isClosed(), 'and stands as it was')
})

t.test('NATS that answers nobody for a moment turns nobody away', async (t) => {
  const gateway = await world.bus(t)
  const bucket = await gateway.bucket(admissionBucket)
  let asked = 0
  const admission = createAdmission({
    get: async (key) => {
      if (++asked === 1) throw transient('NATS_UNAVAILABLE', 'no responders')
      return await bucket.get(key)
    },
  })
  t.equal(await admission.isClosed(), false)
  t.equal(asked, 2, 'it is asked again')
})
