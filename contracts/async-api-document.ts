// What the services say to each other over NATS as AsyncAPI 3.0, made from the catalogue that they run on.
import type { TSchema } from 'typebox'
import { EVENTS, REQUESTS } from './catalog.ts'
import type { EventDefinition, RequestDefinition } from './define.ts'
import { DEAD_LETTER_HEADERS, deadSubject } from './events/dead-letters.ts'
import { deletionDue, pendingSubject } from './events/deletions.ts'
import { CONSUMERS, STREAMS, type ConsumerDefinition } from './streams.ts'

type Part = Record<string, unknown>

/** As plain JSON values. */
export function asyncApiDocument (): Record<string, unknown> {
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Klaim', version: '1.0.0', license: { name: 'GPL-3.0-or-later' },
      description: 'Events on JetStream streams and questions over NATS request/reply. Events are CloudEvents 1.0 in NATS binary mode: attributes as ce-… headers, data as JSON in the body. '
        + 'An event may come twice; its id derives from the fact, so that the same fact has the same id.',
    },
    defaultContentType: 'application/json',
    servers: { nats: { host: '127.0.0.1:4222', protocol: 'nats', description: 'nats-server 2.14.3 or newer with JetStream' } },
    channels: Object.fromEntries([...EVENTS.map(eventChannel), scheduleChannel(), deadLetterChannel(), ...REQUESTS.flatMap(requestChannels)]),
    operations: Object.fromEntries([...EVENTS.flatMap(sending), schedulingOperation(), ...CONSUMERS.flatMap(receiving), ...REQUESTS.map(answeringOperation)]),
    components: {
      messages: Object.fromEntries([...EVENTS.map((event) => [event.type, eventMessage(event)]), ...REQUESTS.flatMap(requestMessages), ['dead-letter', deadLetterMessage()]]),
      schemas: { cloudEvent: CLOUD_EVENT },
    },
  }
  // Without what TypeBox keeps beside the JSON schema.
  return JSON.parse(JSON.stringify(document)) as Record<string, unknown>
}

const CLOUD_EVENT = {
  type: 'object',
  required: ['ce-specversion', 'ce-id', 'ce-type', 'ce-source', 'ce-time', 'ce-subject'],
  properties: {
    'ce-specversion': { type: 'string', const: '1.0' },
    'ce-id': { type: 'string', description: 'Derived from the fact; also the message id by which JetStream stores it once' },
    'ce-type': { type: 'string' },
    'ce-source': { type: 'string', description: '/klaim/<service>' },
    'ce-time': { type: 'string', format: 'date-time' },
    'ce-subject': { type: 'string', description: 'The subject it stands on' },
    'ce-correlation': { type: 'string', description: 'The claim it belongs to, where there is one' },
    'ce-causation': { type: 'string', description: 'Id of the event that led here' },
    'ce-traceparent': { type: 'string', description: "The span that said it, where traces are kept (CloudEvents' distributed tracing extension). Nothing is decided by it" },
    'content-type': { type: 'string', const: 'application/json' },
  },
}

const ref = (...path: readonly string[]): Part => ({ $ref: `#/${path.join('/')}` })
/** `klaim.claim.requested.v1` → `claim.requested.v1`: the name of the event and of its channel. */
const nameOf = (event: EventDefinition): string => event.type.slice('klaim.'.length)
const parametersOf = (subject: string): Part => Object.fromEntries([...subject.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, { description: `The ${name} of the data` }]))
const streamOf = (name: string): Part => ({ 'x-stream': name, 'x-stream-summary': STREAMS.find((stream) => stream.name === name)?.summary })

function eventChannel (event: EventDefinition): [string, Part] {
  const { subject, summary, stream, type } = event
  return [nameOf(event), { address: subject, summary, parameters: parametersOf(subject), messages: { [type]: ref('components', 'messages', type) }, ...streamOf(stream) }]
}

function eventMessage ({ type, authors, summary, data }: EventDefinition): Part {
  return {
    name: type, title: summary, summary,
    headers: {
      allOf: [ref('components', 'schemas', 'cloudEvent'), { type: 'object', properties: { 'ce-type': { const: type }, 'ce-source': { enum: authors.map((author) => `/klaim/${author}`) } } }],
    },
    correlationId: { location: '$message.header#/ce-correlation' },
    payload: data,
  }
}

function sending (event: EventDefinition): Array<[string, Part]> {
  return event.authors.map((author) => [`${author}.says.${nameOf(event)}`, {
    action: 'send', channel: ref('channels', nameOf(event)), summary: event.summary, tags: [{ name: author }],
    messages: [ref('channels', nameOf(event), 'messages', event.type)],
  }])
}

function receiving ({ name, service, events }: ConsumerDefinition): Array<[string, Part]> {
  return events.map((event) => [`${service}.hears.${nameOf(event)}`, {
    action: 'receive', channel: ref('channels', nameOf(event)), summary: event.summary, tags: [{ name: service }], 'x-durable-consumer': name,
    messages: [ref('channels', nameOf(event), 'messages', event.type)],
  }])
}

const SCHEDULE = 'deletion.pending'

function scheduleChannel (): [string, Part] {
  const address = pendingSubject('{delete_job_id}')
  return [SCHEDULE, {
    address, summary: 'NATS schedules: the server itself says the message on deletions.due when its time comes',
    parameters: parametersOf(address), messages: { [deletionDue.type]: ref('components', 'messages', deletionDue.type) }, ...streamOf(deletionDue.stream),
  }]
}

function schedulingOperation (): [string, Part] {
  return ['reaper.schedules.deletion.due.v1', {
    action: 'send', channel: ref('channels', SCHEDULE), summary: 'Have the server say later that a deletion is due', tags: [{ name: 'reaper' }],
    messages: [ref('channels', SCHEDULE, 'messages', deletionDue.type)],
  }]
}

function deadLetterChannel (): [string, Part] {
  return ['dead-letters', {
    address: deadSubject('{subject}'), summary: 'What nobody could handle', parameters: { subject: { description: 'The original subject, of several tokens' } },
    messages: { 'dead-letter': ref('components', 'messages', 'dead-letter') }, ...streamOf('DEAD_LETTERS'),
  }]
}

function deadLetterMessage (): Part {
  return {
    name: 'dead-letter', title: 'A dead letter', summary: 'The original body and headers as they were, and why it is here',
    headers: { type: 'object', properties: Object.fromEntries(Object.values(DEAD_LETTER_HEADERS).map((name) => [name, { type: 'string' }])) },
    payload: {},
  }
}

const questionName = ({ service, name }: RequestDefinition): string => `${service}.${name}`

function requestMessages (request: RequestDefinition): Array<[string, Part]> {
  const message = (part: string, payload: TSchema): [string, Part] => [`${questionName(request)}.${part}`, { name: `${questionName(request)}.${part}`, title: request.summary, payload }]
  return [message('question', request.question), message('answer', request.answer)]
}

function requestChannels (request: RequestDefinition): Array<[string, Part]> {
  const channel = (part: string, address: string | null): [string, Part] => {
    const message = `${questionName(request)}.${part}`
    return [message, { address, summary: request.summary, messages: { [message]: ref('components', 'messages', message) } }]
  }
  // The answer goes to the inbox that the question names.
  return [channel('question', request.subject), channel('answer', null)]
}

function answeringOperation (request: RequestDefinition): [string, Part] {
  const { service, name, summary, timeoutMs } = request
  const [question, answer] = [`${questionName(request)}.question`, `${questionName(request)}.answer`]
  return [`${service}.answers.${name}`, {
    action: 'receive', channel: ref('channels', question), summary, tags: [{ name: service }], 'x-timeout-ms': timeoutMs,
    messages: [ref('channels', question, 'messages', question)],
    reply: { channel: ref('channels', answer), messages: [ref('channels', answer, 'messages', answer)] },
  }]
}
