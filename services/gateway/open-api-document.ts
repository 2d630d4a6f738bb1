// The public API as OpenAPI 3.1, made from the same schemas that check and write what crosses the wire.
import type { TSchema } from 'typebox'
import { ClaimAccepted, ClaimForm, ClaimProgress, ErrorBody, TemplateOffers, WebhookAccepted, WebhookNotice } from '../../contracts/http.ts'
import { claimStatusSchema } from './routes/claim-status.ts'
import { createClaimSchema } from './routes/create-claim.ts'
import { healthzSchema, readyzSchema } from './routes/health.ts'
import { listTemplatesSchema } from './routes/list-templates.ts'
import { whatsappWebhookSchema } from './routes/whatsapp-webhook.ts'

interface RouteSchema {
  readonly operationId: string
  readonly summary: string
  readonly description?: string
  readonly headers?: TSchema
  readonly params?: TSchema
  readonly body?: TSchema
  readonly response: Readonly<Record<string, TSchema>>
}

const ROUTES: ReadonlyArray<{ method: 'get' | 'post', path: string, schema: RouteSchema, example?: object, responses: Readonly<Record<string, Response>> }> = [
  {
    method: 'post', path: '/api/claim', schema: createClaimSchema, example: { username: 'member1', wa_number_e164: '0812 0000 0001', template: 'nodejs' },
    responses: {
      202: {
        description: 'Accepted. Location is the address of its status, Retry-After when to look.', headers: ['Location', 'Retry-After'],
        links: { status: { operationId: claimStatusSchema.operationId, parameters: { id: '$response.body#/claim_id' } } },
      },
      400: { description: 'INVALID_PHONE, INVALID_USERNAME, INVALID_PASSWORD, INVALID_TEMPLATE or INVALID_REQUEST' },
      403: { description: 'NOT_MEMBER: the number is not in the group' },
      409: { description: 'ALREADY_CLAIMED or LEAVING, with the claim that stands in the way' },
      413: { description: 'PAYLOAD_TOO_LARGE' },
      415: { description: 'UNSUPPORTED_MEDIA_TYPE' },
      429: { description: 'RATE_LIMITED', headers: ['Retry-After'] },
      500: { description: 'INTERNAL' },
      503: { description: 'BOT_OFFLINE, CLAIMS_CLOSED or UNAVAILABLE. Sending the same again later is safe.', headers: ['Retry-After'] },
    },
  },
  {
    method: 'get', path: '/api/claim/{id}/status', schema: claimStatusSchema,
    responses: {
      200: { description: 'How far it is', headers: ['ETag', 'Retry-After'] },
      304: { description: 'Nothing is new since the ETag in If-None-Match', headers: ['ETag', 'Retry-After'] },
      404: { description: 'NOT_FOUND' },
      429: { description: 'RATE_LIMITED', headers: ['Retry-After'] },
      500: { description: 'INTERNAL' },
      503: { description: 'UNAVAILABLE', headers: ['Retry-After'] },
    },
  },
  {
    method: 'get', path: '/api/templates', schema: listTemplatesSchema,
    responses: { 200: { description: "The offers, in the caller's language" }, 500: { description: 'INTERNAL' } },
  },
  {
    method: 'post', path: '/api/whatsapp-webhook', schema: whatsappWebhookSchema,
    responses: {
      202: { description: 'Stored' },
      400: { description: 'INVALID_REQUEST, or WRONG_GROUP: another group than the watched one' },
      401: { description: 'INVALID_SIGNATURE, STALE_TIMESTAMP, or NONCE_USED: this notice was stored already, or its nonce belongs to another one' },
      404: { description: 'NOT_FOUND: this gateway has no webhook' },
      413: { description: 'PAYLOAD_TOO_LARGE: more than 4 KiB' },
      415: { description: 'UNSUPPORTED_MEDIA_TYPE' },
      429: { description: 'RATE_LIMITED', headers: ['Retry-After'] },
      500: { description: 'INTERNAL' },
      503: { description: 'UNAVAILABLE. Nothing is lost if the same is sent again.', headers: ['Retry-After'] },
    },
  },
  { method: 'get', path: '/healthz', schema: healthzSchema, responses: { 200: { description: 'Alive' } } },
  { method: 'get', path: '/readyz', schema: readyzSchema, responses: { 200: { description: 'Ready' }, 503: { description: 'Not ready' } } },
]

interface Response { readonly description: string, readonly headers?: readonly string[], readonly links?: object }

const COMPONENTS: Readonly<Record<string, TSchema>> = { ClaimForm, ClaimAccepted, ClaimProgress, TemplateOffers, WebhookNotice, WebhookAccepted, ErrorBody }

const HEADERS: Readonly<Record<string, { description: string, schema: object }>> = {
  Location: { description: 'Where to look next', schema: { type: 'string' } },
  'Retry-After': { description: 'Seconds', schema: { type: 'integer', minimum: 1 } },
  ETag: { description: 'Changes with the answer', schema: { type: 'string' } },
}

const ACCEPT_LANGUAGE = { name: 'Accept-Language', in: 'header', description: 'id (default) or en', schema: { type: 'string' } }

/** As plain JSON values. */
export function openApiDocument (): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const { method, path, schema, responses, example } of ROUTES) paths[path] = { ...paths[path], [method]: operationOf(path, schema, responses, example) }
  return plain({
    openapi: '3.1.0',
    info: {
      title: 'Klaim', version: '1.0.0', license: { name: 'GPL-3.0-or-later', identifier: 'GPL-3.0-or-later' },
      description: 'One free game-panel server for each member of a WhatsApp group. Every error has one shape, its code is stable, and its message is in the language of Accept-Language.',
    },
    servers: [{ url: '/' }],
    security: [],
    paths,
    components: { schemas: COMPONENTS },
  })
}

function operationOf (path: string, schema: RouteSchema, responses: Readonly<Record<string, Response>>, example: object | undefined): Record<string, unknown> {
  const { operationId, summary, description, headers, params, body } = schema
  const parameters = [...parametersOf(params, 'path'), ...parametersOf(headers, 'header'), ...(path.startsWith('/api/') ? [ACCEPT_LANGUAGE] : [])]
  return {
    operationId, summary,
    ...(description === undefined ? {} : { description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: jsonOf(body, example) } }),
    responses: Object.fromEntries(Object.entries(responses).map(([status, { description, headers = [], links }]) => {
      const answer = schema.response[status] ?? schema.response[`${status[0]}xx`]
      return [status, {
        description,
        ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers.map((name) => [name, HEADERS[name]])) }),
        ...(links === undefined ? {} : { links }),
        ...(answer === undefined || status === '304' ? {} : { content: jsonOf(answer) }),
      }]
    })),
  }
}

function parametersOf (schema: TSchema | undefined, place: 'path' | 'header'): object[] {
  const { properties = {}, required = [] } = (schema ?? {}) as { properties?: Record<string, TSchema>, required?: string[] }
  return Object.entries(properties).map(([name, property]) => ({
    name: place === 'header' ? name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()) : name,
    in: place, required: required.includes(name), schema: property,
  }))
}

/** A schema that has a name is referred to by it. */
function jsonOf (schema: TSchema, example?: object): object {
  const name = Object.keys(COMPONENTS).find((candidate) => COMPONENTS[candidate] === schema)
  return { 'application/json': { schema: name === undefined ? schema : { $ref: `#/components/schemas/${name}` }, ...(example === undefined ? {} : { example }) } }
}

/** Without what TypeBox keeps beside the JSON schema. */
function plain (value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>
}
