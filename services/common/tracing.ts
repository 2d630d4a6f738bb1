// What a service tells of its work to whoever traces it (OpenTelemetry). Without an endpoint every call below ends in the API's own no-ops: no span is made, no context kept,
// no header sent. With one, run.ts loads tracing-export.ts, which puts the SDK behind them.
//
// One trace is one claim's way, or one departure's. Its context goes
// - with an event as `ce-traceparent`, CloudEvents' distributed tracing extension: it is the event's creation context, stored with it, whoever delivers it, how often and when.
//   A bare `traceparent` would be the transport's, and nats-server acts on it (message tracing).
// - with a question over NATS or HTTP as `traceparent` (W3C): that is one hop.
//
// Attributes are what a log line may hold (event-line.ts), and codes; never a message, an address or an error's words.
import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes, type Context, type Link, type Span } from '@opentelemetry/api'
import type { EventDefinition, RequestDefinition } from '../../contracts/define.ts'
import type { Event } from './envelope.ts'
import { factsOf } from './event-line.ts'
import { codeOf } from './fault.ts'

export { SpanKind }
export type { Span }

/** A stand-in until an SDK is there. */
const tracer = trace.getTracer('klaim')

/**
 * An event handled within this time is a child of the span that said it, however often it is delivered; semantic conventions allow that where each message is handled alone
 * (messaging spans, "creation context as parent"). One that is handled later (a deletion after the grace, a dead letter that is replayed, an outage) begins a trace of its own, because a
 * trace that stays open for hours is cut off by those who store it. Both are linked to the span that said the event.
 */
const SAME_TRACE_MS_MAX = 15 * 60_000

interface SpanDescription { readonly kind?: SpanKind, readonly attributes?: Attributes, readonly parent?: Context, readonly links?: Link[] }

/** A span around `work`. A fault ends it with its code alone: words may quote what somebody sent. */
export async function inSpan<Result> (name: string, { kind = SpanKind.INTERNAL, attributes = {}, parent = context.active(), links = [] }: SpanDescription, work: (span: Span) => Promise<Result>): Promise<Result> {
  return await tracer.startActiveSpan(name, { kind, attributes, links }, parent, async (span) => {
    try {
      return await work(span)
    } catch (error) {
      failed(span, codeOf(error))
      throw error
    } finally {
      span.end()
    }
  })
}

/** The same where it is part of a trace. What nobody waits for (a sweep, a poll, a look at a status) is no trace of its own. */
export async function inChildSpan<Result> (name: string, description: SpanDescription, work: (span: Span | undefined) => Promise<Result>): Promise<Result> {
  return trace.getSpanContext(description.parent ?? context.active()) ? await inSpan(name, description, work) : await work(undefined)
}

/** What is done for all and not for whoever happened to ask first is no part of their trace. */
export const apart = <Result>(work: () => Result): Result => context.with(ROOT_CONTEXT, work)

export function failed (span: Span, code: string): void {
  span.setStatus({ code: SpanStatusCode.ERROR })
  span.setAttribute('error.type', code)
}

/** The active span as a header says it; undefined where there is none. */
export function traceparent (): string | undefined {
  const carrier: { traceparent?: string } = {}
  propagation.inject(context.active(), carrier)
  return carrier.traceparent
}

const contextOf = (header: string | undefined): Context => header === undefined || header === '' ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent: header })

/** On the span in which it was found. */
export function remark (attributes: Attributes): void {
  trace.getActiveSpan()?.setAttributes(attributes)
}

/** For work that ends somewhere else than it began; whoever begins a span ends it. */
export const begun = (name: string, { kind = SpanKind.INTERNAL, attributes = {}, parent = context.active() }: SpanDescription): Span => tracer.startSpan(name, { kind, attributes }, parent)
export const during = <Result>(span: Span, work: () => Result): Result => context.with(trace.setSpan(context.active(), span), work)

/** For log lines. */
export function traceIds (): { trace_id?: string, span_id?: string } {
  const active = trace.getActiveSpan()?.spanContext()
  return active ? { trace_id: active.traceId, span_id: active.spanId } : {}
}

export function klaimAttributes (data: object): Attributes {
  return Object.fromEntries(Object.entries(factsOf(data as Record<string, unknown>)).map(([name, value]) => [`klaim.${name}`, value as string]))
}

const ofNats = { 'messaging.system': 'nats' }

export async function publishing<Result> ({ subject }: Pick<EventDefinition, 'subject'>, data: object, work: (span: Span) => Promise<Result>): Promise<Result> {
  const attributes = { ...ofNats, 'messaging.operation.name': 'publish', 'messaging.operation.type': 'send', 'messaging.destination.template': subject, ...klaimAttributes(data) }
  return await inSpan(`publish ${subject}`, { kind: SpanKind.PRODUCER, attributes }, work)
}

export async function processing<Result> ({ subject }: Pick<EventDefinition, 'subject'>, { id, trace: header, time, data }: Event, { consumer, count, now }: { consumer: string, count: number, now: number }, work: (span: Span) => Promise<Result>): Promise<Result> {
  const said = contextOf(header)
  const creation = trace.getSpanContext(said)
  const attributes = {
    ...ofNats, 'messaging.operation.name': 'process', 'messaging.operation.type': 'process', 'messaging.destination.template': subject, 'messaging.consumer.group.name': consumer,
    'messaging.message.id': id, 'klaim.delivery': count, ...klaimAttributes(data),
  }
  return await inSpan(`process ${subject}`, {
    kind: SpanKind.CONSUMER, attributes,
    parent: now - time.getTime() <= SAME_TRACE_MS_MAX ? said : ROOT_CONTEXT,
    links: creation ? [{ context: creation }] : [],
  }, work)
}

const rpc = ({ service, name }: RequestDefinition): { name: string, attributes: Attributes } =>
  ({ name: `klaim.${service}/${name}`, attributes: { 'rpc.system': 'nats', 'rpc.service': `klaim.${service}`, 'rpc.method': name } })

export async function asking<Result> (definition: RequestDefinition, question: unknown, work: () => Promise<Result>): Promise<Result> {
  const { name, attributes } = rpc(definition)
  return await inChildSpan(name, { kind: SpanKind.CLIENT, attributes: { ...attributes, ...klaimAttributes(question as object) } }, work)
}

/** `header`: `traceparent` as the asker sent it. */
export async function answeringTo<Result> (definition: RequestDefinition, header: string | undefined, work: () => Promise<Result>): Promise<Result> {
  const { name, attributes } = rpc(definition)
  return await inChildSpan(name, { kind: SpanKind.SERVER, attributes, parent: contextOf(header) }, work)
}

/** A request between services of ours, by its route. `parent`: the `traceparent` that it came with. */
export async function serving<Result> (method: string, route: string, parent: string | undefined, work: (span: Span | undefined) => Promise<Result>): Promise<Result> {
  return await inChildSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes: { 'http.request.method': method, 'http.route': route }, parent: contextOf(parent) }, work)
}

export async function calling<Result> (method: string, route: string, work: (span: Span | undefined) => Promise<Result>): Promise<Result> {
  return await inChildSpan(`${method} ${route}`, { kind: SpanKind.CLIENT, attributes: { 'http.request.method': method, 'url.template': route } }, work)
}
