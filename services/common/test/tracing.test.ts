import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { Type } from 'typebox'
import { defineEvent } from '../../../contracts/define.ts'
import { ClaimId } from '../../../contracts/ids.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { startReceiver } from '../../test/otlp.ts'
import { attributesOf, decodeEvent, encodeEvent, type Event } from '../envelope.ts'
import { permanent } from '../fault.ts'
import { createLog } from '../log.ts'
import { apart, inChildSpan, inSpan, processing, publishing, traceIds, traceparent } from '../tracing.ts'
import { startTracing } from '../tracing-export.ts'
import { collected } from './collect.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const claim = '11111111-1111-4111-8111-111111111111'
const happened = defineEvent({ name: 'thing.happened', version: 1, authors: ['bot'], stream: 'THINGS', subject: 'things.{claim_id}', summary: 'Something happened', data: Type.Object({ claim_id: ClaimId, wa_jid: Type.String() }) })
const data = { claim_id: claim, wa_jid: '6281200000001@s.whatsapp.net' }
const encoded = () => encodeEvent(happened, { key: claim, author: 'bot', time: new Date(), data, correlation: claim, causation: undefined, trace: traceparent() })
const lines: string[] = []
const log = createLog('test', 'info', (line) => { lines.push(line) })
const coded = (code: string): number => lines.filter((line) => line.includes(`"code":"${code}"`)).length

t.test('without an endpoint', async (t) => {
  await publishing(happened, data, async () => {
    t.equal(traceparent(), undefined, 'there is no context')
    t.equal(encoded().headers.has('ce-traceparent'), false, 'an event carries none')
    t.same(traceIds(), {}, 'nor does a log line')
    t.equal(await inChildSpan('child', {}, async (span) => span), undefined, 'and nothing is part of a trace')
  })
  t.equal(await inSpan('work', {}, async () => 7), 7, 'work is done as ever')
  await t.rejects(inSpan('work', {}, async () => { throw permanent('MESSAGE_INVALID', 'wrong') }), { code: 'MESSAGE_INVALID' })
})

t.test('which code a service loads', async (t) => {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const hook = 'import { registerHooks } from "node:module"; registerHooks({ load (url, context, next) { if (url.includes("@opentelemetry")) process.stderr.write(`${url}\\n`); return next(url, context) } })'
  const loaded = async (env: Record<string, string>): Promise<string> => {
    const child = spawn(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, 'services/notifier/main.ts'], {
      cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], ...nats.env('notifier'), PANEL_PUBLIC_URL: 'https://panel.example.org', HEALTH_PORT: '0', ...env },
    })
    let [output, urls] = ['', '']
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => { urls += chunk })
    const ended = once(child, 'close')
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      if (output.includes('"service started"')) child.kill('SIGTERM')
    })
    await ended
    t.match(output, '"service stopped"')
    return urls
  }
  const off = await loaded({})
  t.match(off, '@opentelemetry/api', 'the API')
  t.notMatch(off, /@opentelemetry\/(?!api)/, 'and nothing else without an endpoint')
  t.match(await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }), '@opentelemetry/sdk-trace', 'the SDK with one, and a service stops though nobody takes its spans')
})

t.test('with an endpoint', async (t) => {
  const receiver = await startReceiver()
  t.teardown(() => { receiver.close() })
  const tracing = startTracing({ service: 'test', version: '1.2.3', endpoint: `${receiver.url}/`, headers: undefined, timeoutMs: 500, delayMs: 20, queueMax: 64, log })
  const span = async (name: string) => {
    for (let n = 0; n < 500; n++) {
      const found = receiver.spans.find((one) => one.name === name)
      if (found) return found
      await new Promise((resolve) => { setTimeout(resolve, 10) })
    }
    throw new Error(`no span ${name} came`)
  }

  const eventOf = ({ headers, body }: ReturnType<typeof encodeEvent>, ageMs: number): Event => {
    const decoded = decodeEvent([happened], { subject: `things.${claim}`, headers, data: new TextEncoder().encode(body) })
    return { ...(decoded as { event: Event }).event, time: new Date(Date.now() - ageMs) }
  }
  const delivery = { consumer: 'consumer', count: 1, now: Date.now() }
  await t.test('an event', async (t) => {
    const said = await publishing(happened, data, async () => encoded())
    await processing(happened, eventOf(said, 1_000), delivery, async () => { await inChildSpan('at once', {}, async () => {}) })
    await processing(happened, eventOf(said, 1_000), { ...delivery, count: 2 }, async () => { await inChildSpan('again', {}, async () => {}) })
    await processing(happened, eventOf(said, 4 * 3_600_000), delivery, async () => { await inChildSpan('hours later', {}, async () => {}) })
    const [publish, atOnce, again, later] = [await span('publish things.{claim_id}'), await span('at once'), await span('again'), await span('hours later')]
    t.equal(attributesOf(said.headers).trace, `00-${publish.traceId}-${publish.spanId}-01`, 'carries the span that said it')
    const processes = [atOnce, again, later].map(({ parentId }) => receiver.spans.find(({ spanId }) => spanId === parentId))
    t.same(processes.map((process) => process?.parentId), [publish.spanId, publish.spanId, ''], 'is its child when it is handled, also when it comes again, but not after hours')
    t.same([atOnce, again, later].map(({ traceId }) => traceId === publish.traceId), [true, true, false])
    t.same(processes.map((process) => process?.links), [[publish.spanId], [publish.spanId], [publish.spanId]], 'and linked to it in any case')
    t.match(publish, { service: 'test', kind: 4, attributes: { 'klaim.claim_id': claim, 'messaging.system': 'nats' } })
    t.notOk(receiver.bodies.some((body) => body.includes('62812')), 'without what it holds')
  })

  await t.test('a header that is none', async (t) => {
    for (const header of ['', 'x'.repeat(5_000), '00-zz-00-01', `01-${'a'.repeat(32)}-${'b'.repeat(16)}-01`]) {
      const { headers } = encoded()
      headers.set('ce-traceparent', header)
      t.equal(attributesOf(headers).trace, undefined, `${header.slice(0, 12)} is passed over`)
    }
  })

  await t.test('a fault', async (t) => {
    await t.rejects(inSpan('failing', {}, async () => { throw permanent('MESSAGE_INVALID', 'what +6281200000001 sent') }))
    t.match(await span('failing'), { isError: true, attributes: { 'error.type': 'MESSAGE_INVALID' } }, 'ends its span with its code')
    t.notOk(receiver.bodies.some((body) => body.includes('62812')), 'and without its words')
  })

  await t.test('a log line', async (t) => {
    await inSpan('logging', {}, async () => { log.info('within'); apart(() => { log.info('apart') }) })
    const { traceId, spanId } = await span('logging')
    t.match(lines.find((line) => line.includes('within')), `"trace_id":"${traceId}","span_id":"${spanId}"`, 'names its trace')
    t.notMatch(lines.find((line) => line.includes('"apart"')), 'trace_id', 'but not what is done for all')
  })

  await t.test('an endpoint that hangs', async (t) => {
    receiver.hang()
    // What is no longer needed is no part of what is kept.
    await collected()
    const [before, startedAt] = [process.memoryUsage().heapUsed, performance.now()]
    for (let n = 0; n < 100_000; n++) await inSpan('flood', { attributes: { n, text: 'x'.repeat(200) } }, async () => {})
    const tookMs = performance.now() - startedAt
    await collected()
    const grown = process.memoryUsage().heapUsed - before
    // All of them would be more than 50 MiB.
    t.ok(grown < 16 * 1024 * 1024, `keeps no more than its queue: ${Math.round(grown / 1024)} KiB after 100,000 spans`)
    t.ok(tookMs / 100_000 < 1, `and holds nobody up: ${(tookMs * 1_000 / 100_000).toFixed(1)} µs for a span`)
    for (let n = 0; n < 500 && coded('TRACES_UNEXPORTED') === 0; n++) await new Promise((resolve) => { setTimeout(resolve, 10) })
    // Once there is room again it is said how much found none.
    for (let n = 0; n < 500 && coded('TRACES_DROPPED') === 0; n++) await inSpan('after', {}, async () => { await new Promise((resolve) => { setTimeout(resolve, 10) }) })
    t.same([coded('TRACES_UNEXPORTED'), coded('TRACES_DROPPED') > 0], [1, true], 'which is said')
    const stoppedAt = performance.now()
    await tracing.stop()
    t.ok(performance.now() - stoppedAt < 4_000, 'and nobody waits for it at the end')
  })
})
