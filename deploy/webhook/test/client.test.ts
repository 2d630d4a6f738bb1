import t, { type Test } from 'tap'
import { spawn } from 'node:child_process'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { verify } from '../../../services/gateway/webhook-signature.ts'
import { tellLines } from '../notice.ts'
import { createTeller, noticeOf, retryAfterMsOf, waitMsOf, type TellerOptions } from '../client.ts'

const SECRET = 's'.repeat(32)
const movement = { event: 'leave', wa_jid: '6281200000001@s.whatsapp.net', group_id: '120363000000000001@g.us', occurred_at: '2026-03-01T12:00:00.000Z' } as const

interface Answer { status: number, code?: string, headers?: Record<string, string>, body?: string }
interface Asked { headers: IncomingHttpHeaders, body: string }

/** A gateway that answers as it is told, one answer after the other and the last one for ever; undefined is none at all. */
async function gatewayThat (t: Test, ...answers: Array<Answer | undefined>): Promise<{ url: string, asked: Asked[] }> {
  const asked: Asked[] = []
  const say = (response: ServerResponse, answer: Answer | undefined): void => {
    if (!answer) response.destroy()
    else response.writeHead(answer.status, answer.headers).end(answer.body ?? JSON.stringify(answer.code === undefined ? { accepted: true } : { error: { code: answer.code } }))
  }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => { body += chunk.toString() }).on('end', () => {
      asked.push({ headers: request.headers, body })
      say(response, answers.length > 1 ? answers.shift() : answers[0])
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/whatsapp-webhook`, asked }
}

function teller (options: Partial<TellerOptions> & { url: string }): { tell: ReturnType<typeof createTeller>, waits: number[] } {
  const waits: number[] = []
  return { tell: createTeller({ secret: SECRET, triesMax: 3, wait: async (ms) => { waits.push(ms) }, ...options }), waits }
}

t.test('a notice', async (t) => {
  t.not(noticeOf(movement).nonce, noticeOf(movement).nonce, 'has a nonce of its own')
  t.equal(noticeOf({ ...movement, nonce: 'a-nonce-of-before' }).nonce, 'a-nonce-of-before', 'which stays')
})

t.test('what is tried again', async (t) => {
  const { url, asked } = await gatewayThat(t, { status: 503, code: 'UNAVAILABLE', headers: { 'retry-after': '10' } }, undefined, { status: 202 })
  const { tell, waits } = teller({ url })
  t.same(await tell(noticeOf(movement)), { outcome: 'stored', tries: 3 })
  t.equal(new Set(asked.map(({ body }) => body)).size, 1, 'is the same bytes, and so the same nonce')
  for (const { headers, body } of asked) t.equal(verify({ secrets: [SECRET], timestamp: headers['x-timestamp'], signature: headers['x-signature'], body: Buffer.from(body), now: new Date() }), 'valid', 'signed as the gateway wants it')
  t.equal(waits[0], 10_000, 'not before the time that was asked for')
  t.ok((waits[1] ?? 0) >= 1_000 && (waits[1] ?? 0) <= 2_000, 'or after a while of its own')
})

t.test('what an answer means', async (t) => {
  const told = async (...answers: Array<Answer | undefined>) => await teller({ url: (await gatewayThat(t, ...answers)).url }).tell(noticeOf(movement))
  t.same(await told(undefined, { status: 401, code: 'NONCE_USED' }), { outcome: 'stored', code: 'NONCE_USED', tries: 2 }, 'stored, and the answer was lost')
  t.same(await told({ status: 401, code: 'STALE_TIMESTAMP' }, { status: 202 }), { outcome: 'stored', tries: 2 }, 'too long on the way: signed anew')
  t.same(await told({ status: 401, code: 'INVALID_SIGNATURE' }), { outcome: 'refused', code: 'INVALID_SIGNATURE', tries: 1 }, 'refused at once')
  t.same(await told({ status: 404, body: '<html>' }), { outcome: 'refused', tries: 1 }, 'not Klaim at all')
  t.same(await told({ status: 429, code: 'RATE_LIMITED' }), { outcome: 'given_up', code: 'RATE_LIMITED', tries: 3 }, 'not for ever')
  t.same(await told({ status: 502, body: '<html>' }), { outcome: 'given_up', tries: 3 })
  t.same(await told({ status: 202, body: 'x'.repeat(100_000) }), { outcome: 'given_up', tries: 3 }, 'an answer without end')
  const elsewhere = await gatewayThat(t, { status: 202 })
  t.same(await told({ status: 307, headers: { location: elsewhere.url } }), { outcome: 'given_up', tries: 3 })
  t.same(elsewhere.asked, [], 'a redirect takes no number anywhere')
})

t.test('an answer that does not come is not waited for', async (t) => {
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const { tell } = teller({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, timeoutMs: 100, triesMax: 2 })
  t.same(await tell(noticeOf(movement)), { outcome: 'given_up', tries: 2 })
})

t.test('waiting', async (t) => {
  const asked = (retryAfterMs: number) => ({ status: 503, code: undefined, retryAfterMs })
  t.same([1, 2, 3].map((tries) => waitMsOf(undefined, tries, 1)), [1_000, 2_000, 4_000], 'longer each time')
  t.equal(waitMsOf(undefined, 1, 0), 500, 'a different time for each bot')
  t.equal(waitMsOf(asked(60_000), 1, 1), 60_000, 'as long as it was asked for')
  t.equal(waitMsOf(asked(3_600_000), 1, 1), 120_000, 'but not for hours')
  const now = Date.parse('2026-03-01T12:00:00Z')
  t.same(['7', 'Sun, 01 Mar 2026 12:00:30 GMT', 'Sun, 01 Mar 2026 11:00:00 GMT', 'soon', null].map((header) => retryAfterMsOf(header, now)), [7_000, 30_000, 0, 0, 0])
})

t.test('scripts/webhook-notice', async (t) => {
  const { url, asked } = await gatewayThat(t, { status: 202 }, { status: 400, code: 'WRONG_GROUP' }, { status: 202 })
  const run = async (input: string | undefined, env: Record<string, string> = {}) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, '../notice.ts')], { env: { ...process.env, WEBHOOK_URL: url, WEBHOOK_SECRET: SECRET, GROUP_ID: movement.group_id, ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
    if (input !== undefined) child.stdin.end(input)
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { exitCode, output }
  }
  const { group_id, ...line } = movement
  const lines = [JSON.stringify(line), JSON.stringify({ ...line, group_id: '120363000000000002@g.us' }), '', '{"event":"left"}', JSON.stringify({ ...line, event: 'join', nonce: 'a-nonce-of-before' })]
  t.same(await run(lines.join('\n')), { exitCode: 1, output: '1 stored\n2 refused WRONG_GROUP\n4 refused INVALID_REQUEST\n5 stored\n' })
  t.match(asked.map(({ body }) => JSON.parse(body) as unknown), [{ ...line, group_id }, { group_id: '120363000000000002@g.us' }, { event: 'join', nonce: 'a-nonce-of-before' }], 'in their order')
  t.match(await run(undefined, { WEBHOOK_SECRET: 'short' }), { exitCode: 78, output: /WEBHOOK_SECRET/ }, 'ends, though nothing was written to it yet')
})

t.test('what it gives up at', async (t) => {
  const { group_id: groupId, ...line } = movement
  const told: string[] = []
  const printed: string[] = []
  async function * lines (): AsyncGenerator<string> { for (const event of ['join', 'leave', 'join']) yield JSON.stringify({ ...line, event }) }
  const exitCode = await tellLines({ lines: lines(), groupId, print: (text) => { printed.push(text) }, tell: async ({ event }) => { told.push(event); return { outcome: event === 'leave' ? 'given_up' : 'stored', tries: 6 } } })
  t.same([exitCode, told, printed], [75, ['join', 'leave'], ['1 stored', '2 given_up']], 'is told again before what came later')
})
