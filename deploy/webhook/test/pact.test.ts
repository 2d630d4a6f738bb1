// The consumer's side of the contract: the reference client against a gateway that Pact plays. What it writes is what the real gateway is held to
// in services/gateway/test/webhook-pact.test.ts. TAP_SNAPSHOT=1 replaces the pact of the repository.
import t, { type Test } from 'tap'
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CONSUMER, MatchersV3, PACT_FILE, PACT_NAME, PactV4, PROVIDER, STATES } from '../../../contracts/test/pact.ts'
import { createTeller, type Notice } from '../client.ts'

const { like, regex } = MatchersV3
const PATH = '/api/whatsapp-webhook'
const GROUP_ID = '120363000000000001@g.us'
const directory = t.testdir({})
const pact = new PactV4({ consumer: CONSUMER, provider: PROVIDER, dir: directory, logLevel: 'error' })

interface Case {
  /** What the bot wants to say, as the contract's reader sees it. */
  readonly says: string
  readonly state: string
  readonly notice: Partial<Notice>
  readonly answers: number
  readonly code?: string
  readonly field?: string
  readonly retryAfter?: boolean
  readonly means: 'stored' | 'refused' | 'given_up'
}

const CASES: readonly Case[] = [
  { says: 'a join', state: STATES.listening, notice: { event: 'join' }, answers: 202, means: 'stored' },
  { says: 'a leave', state: STATES.listening, notice: { event: 'leave' }, answers: 202, means: 'stored' },
  { says: 'a leave of another group', state: STATES.listening, notice: { group_id: '120363000000000002@g.us' }, answers: 400, code: 'WRONG_GROUP', field: 'group_id', means: 'refused' },
  { says: 'a leave that has not happened yet', state: STATES.listening, notice: { occurred_at: '2999-01-01T00:00:00.000Z' }, answers: 400, code: 'INVALID_REQUEST', field: 'occurred_at', means: 'refused' },
  { says: 'a leave of somebody without a number', state: STATES.listening, notice: { wa_jid: '100000000000001@lid' }, answers: 400, code: 'INVALID_REQUEST', field: 'wa_jid', means: 'refused' },
  { says: 'a leave with a signature that does not fit', state: STATES.otherSecret, notice: {}, answers: 401, code: 'INVALID_SIGNATURE', means: 'refused' },
  { says: 'a leave that was signed too long ago', state: STATES.slowClock, notice: {}, answers: 401, code: 'STALE_TIMESTAMP', means: 'given_up' },
  { says: 'a leave once more', state: STATES.nonceUsed, notice: {}, answers: 401, code: 'NONCE_USED', field: 'nonce', means: 'stored' },
  { says: 'a leave, one too many', state: STATES.tooOften, notice: {}, answers: 429, code: 'RATE_LIMITED', retryAfter: true, means: 'given_up' },
  { says: 'a leave while NATS is away', state: STATES.away, notice: {}, answers: 503, code: 'UNAVAILABLE', retryAfter: true, means: 'given_up' },
]

/** Each case has a member and a nonce of its own, and the same ones in every run, so that the pact does not change. */
function noticeOf ({ notice }: Case, index: number): Notice {
  return { event: 'leave', wa_jid: `6281200000${200 + index}@s.whatsapp.net`, group_id: GROUP_ID, occurred_at: '2026-03-01T12:00:00.000Z', nonce: `pact-notice-000${index}`, ...notice }
}

async function agree (t: Test, each: Case, index: number): Promise<void> {
  const notice = noticeOf(each, index)
  const { event, wa_jid, group_id, occurred_at, nonce } = notice
  const { says, state, answers, code, field, retryAfter, means } = each
  await pact.addInteraction()
    .given(state, state === STATES.nonceUsed ? { nonce } : undefined)
    .uponReceiving(says)
    .withRequest('POST', PATH, (request) => {
      request.headers({ 'Content-Type': 'application/json', 'X-Timestamp': regex(/^\d{1,12}$/, '1772366400'), 'X-Signature': regex(/^[0-9a-f]{64}$/, '0'.repeat(64)) })
      request.jsonBody({
        event,
        wa_jid: regex(/^[1-9]\d{5,16}@(s\.whatsapp\.net|lid)$/, wa_jid),
        group_id: regex(/^[0-9-]{5,40}@g\.us$/, group_id),
        occurred_at: regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/, occurred_at),
        nonce: regex(/^[A-Za-z0-9_-]{16,64}$/, nonce),
      })
    })
    .willRespondWith(answers, (response) => {
      if (retryAfter === true) response.headers({ 'Retry-After': regex(/^[1-9]\d*$/, '10') })
      response.jsonBody(code === undefined ? { accepted: true } : { error: { code, message: like('why, in words'), ...(field === undefined ? {} : { field }) } })
    })
    .executeTest(async ({ url }) => {
      const tell = createTeller({ url: `${url}${PATH}`, secret: 's'.repeat(32), triesMax: 1 })
      t.same(await tell(notice), { outcome: means, tries: 1, ...(code === undefined ? {} : { code }) }, `${says}: ${code ?? 'stored'} means ${means}`)
    })
}

t.test('what the client says and understands', async (t) => {
  for (const [index, each] of CASES.entries()) await agree(t, each, index)
})

t.test('the pact of the repository', async (t) => {
  const written = join(directory, PACT_NAME)
  if (process.env['TAP_SNAPSHOT'] === '1') {
    mkdirSync(dirname(PACT_FILE), { recursive: true })
    copyFileSync(written, PACT_FILE)
  }
  t.ok(readFileSync(PACT_FILE, 'utf8') === readFileSync(written, 'utf8'), 'is what was agreed above; run this test with TAP_SNAPSHOT=1 if not')
})
