// A receiver of traces: OTLP over HTTP in protobuf (opentelemetry/proto/collector/trace/v1), read by field numbers.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Span {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  /** Empty where it is the first of its trace. */
  readonly parentId: string
  readonly name: string
  readonly kind: number
  readonly attributes: Readonly<Record<string, unknown>>
  /** Spans that it is linked to. */
  readonly links: readonly string[]
  readonly isError: boolean
  readonly durationMs: number
}

export interface Receiver {
  readonly url: string
  readonly spans: readonly Span[]
  /** Every body as it came. */
  readonly bodies: readonly Buffer[]
  /** How many calls have come, answered or not. */
  calls (): number
  /** From now on calls are taken and never answered. */
  hang (): void
  close (): void
}

export async function startReceiver (): Promise<Receiver> {
  const spans: Span[] = []
  const bodies: Buffer[] = []
  let [isHanging, calls] = [false, 0]
  const server = createServer((request, response) => {
    calls++
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => { chunks.push(chunk) }).on('end', () => {
      if (isHanging) return
      const body = Buffer.concat(chunks)
      bodies.push(body)
      spans.push(...spansIn(body))
      response.writeHead(request.url === '/v1/traces' && request.headers['content-type'] === 'application/x-protobuf' ? 200 : 404, { 'content-type': 'application/x-protobuf' }).end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, bodies,
    calls: () => calls,
    hang: () => { isHanging = true },
    close: () => { server.closeAllConnections(); server.close() },
  }
}

type Field = bigint | Uint8Array
type Message = ReadonlyMap<number, readonly Field[]>

/** A message of protobuf: field number → values, as they stand on the wire. */
function messageIn (bytes: Uint8Array): Message {
  const fields = new Map<number, Field[]>()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const slice = (length: number): Uint8Array => bytes.subarray(at, at += length)
  while (at < bytes.length) {
    const tag = Number(varint())
    const wire = tag & 7
    let value: Field
    if (wire === 0) value = varint()
    else if (wire === 1) value = view.getBigUint64((at += 8) - 8, true)
    else if (wire === 2) value = slice(Number(varint()))
    else if (wire === 5) value = BigInt(view.getUint32((at += 4) - 4, true))
    else throw new Error(`wire type ${wire}`)
    fields.set(tag >>> 3, [...fields.get(tag >>> 3) ?? [], value])
  }
  return fields
}

const parts = (message: Message, field: number): Message[] => (message.get(field) ?? []).map((part) => messageIn(part as Uint8Array))
const hex = (message: Message, field: number): string => Buffer.from((message.get(field)?.[0] ?? new Uint8Array()) as Uint8Array).toString('hex')
const text = (message: Message, field: number): string => new TextDecoder().decode((message.get(field)?.[0] ?? new Uint8Array()) as Uint8Array)
const number = (message: Message, field: number): number => Number(message.get(field)?.[0] ?? 0n)

function attributesIn (message: Message, field: number): Record<string, unknown> {
  return Object.fromEntries(parts(message, field).map((pair) => {
    const value = parts(pair, 2)[0] ?? new Map<number, Field[]>()
    return [text(pair, 1), value.has(1) ? text(value, 1) : value.has(2) ? number(value, 2) === 1 : value.has(3) ? number(value, 3) : undefined]
  }))
}

function spansIn (body: Buffer): Span[] {
  return parts(messageIn(body), 1).flatMap((resourceSpans) => {
    const service = String(attributesIn(parts(resourceSpans, 1)[0] ?? new Map<number, Field[]>(), 1)['service.name'])
    return parts(resourceSpans, 2).flatMap((scopeSpans) => parts(scopeSpans, 2)).map((span) => ({
      service, traceId: hex(span, 1), spanId: hex(span, 2), parentId: hex(span, 4), name: text(span, 5), kind: number(span, 6), attributes: attributesIn(span, 9),
      links: parts(span, 13).map((link) => hex(link, 2)), isError: parts(span, 15).some((status) => number(status, 3) === 2),
      durationMs: Number((span.get(8)?.[0] as bigint) - (span.get(7)?.[0] as bigint)) / 1e6,
    }))
  })
}
