// The SDK behind tracing.ts: loaded only where there is an endpoint to send to. Spans wait in memory, at most `queueMax` of them, and go in batches; what finds no room is dropped. Nobody
// waits for any of this: an endpoint that is away or hangs costs traces and nothing else.
import { randomUUID } from 'node:crypto'
import { context, diag, DiagLogLevel, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { ExportResultCode, W3CTraceContextPropagator, type ExportResult } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace'
import type { Log } from './log.ts'

export interface TracingOptions {
  readonly service: string
  readonly version: string
  /** Base address, as OpenTelemetry's specification has it: spans go to `/v1/traces` below it. */
  readonly endpoint: string
  /** `name=value`, by comma. */
  readonly headers: string | undefined
  readonly timeoutMs: number
  readonly delayMs: number
  readonly queueMax: number
  readonly log: Log
}

const BATCH_MAX = 512
/** What is still to be sent when a service stops gets this long. */
const LAST_MS_MAX = 2_000
const VALUE_LENGTH_MAX = 256

export function startTracing ({ service, version, endpoint, headers, timeoutMs, delayMs, queueMax, log }: TracingOptions): { stop: () => Promise<void> } {
  const exporter = said(new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, timeoutMillis: timeoutMs, ...(headers === undefined ? {} : { headers: headersIn(headers) }) }), log)
  diag.setLogger({ error: () => {}, warn: (words) => { if (words.startsWith('Dropped ')) log.warn({ code: 'TRACES_DROPPED', spans: Number(/\d+/.exec(words)?.[0]) }, 'more spans were waiting to be sent than are kept') }, info: () => {}, debug: () => {}, verbose: () => {} }, DiagLogLevel.WARN)
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.namespace': 'klaim', 'service.name': service, 'service.version': version, 'service.instance.id': randomUUID() }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanLimits: { attributeValueLengthLimit: VALUE_LENGTH_MAX, attributeCountLimit: 32, linkCountLimit: 4, eventCountLimit: 0 },
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: queueMax, maxExportBatchSize: Math.min(BATCH_MAX, queueMax), scheduledDelayMillis: delayMs, exportTimeoutMillis: timeoutMs + 1_000 })],
  })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  log.info('traces are exported')
  return {
    stop: async () => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, LAST_MS_MAX) })
      await Promise.race([provider.shutdown().catch(() => {}), late])
      clearTimeout(timer)
    },
  }
}

/** Says once that the endpoint does not take spans, and once that it does again. */
function said (exporter: SpanExporter, log: Log): SpanExporter {
  let isTaken = true
  function heard ({ code, error }: ExportResult): void {
    const isTakenNow = code === ExportResultCode.SUCCESS
    if (isTakenNow && !isTaken) log.info('traces are taken again')
    if (!isTakenNow && isTaken) log.warn({ code: 'TRACES_UNEXPORTED', reason: (error as NodeJS.ErrnoException | undefined)?.code }, 'the endpoint of traces does not take them; nothing else depends on it')
    isTaken = isTakenNow
  }
  return {
    export: (spans, done) => { exporter.export(spans, (result) => { heard(result); done(result) }) },
    shutdown: async () => { await exporter.shutdown() },
    forceFlush: async () => { await exporter.forceFlush?.() },
  }
}

/** As OpenTelemetry's variable has them: values are percent-encoded. */
function headersIn (text: string): Record<string, string> {
  return Object.fromEntries(text.split(',').map((pair) => pair.split('=')).filter(([name = '']) => name.trim() !== '').map(([name = '', ...value]) => [name.trim(), decodeURIComponent(value.join('=').trim())]))
}
