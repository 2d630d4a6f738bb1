// What every route is given.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerDefault } from 'fastify'
import type { Bus } from '../common/bus.ts'
import type { Log } from '../common/log.ts'
import type { Messages } from '../common/phrases.ts'
import type { Templates } from '../common/templates.ts'
import type { Claiming } from './claiming.ts'
import type { HttpMetrics } from './http-metrics.ts'
import type { Limits } from './limits.ts'
import type { Site } from './site.ts'

export type App = FastifyInstance<RawServerDefault, RawRequestDefaultExpression, RawReplyDefaultExpression, FastifyBaseLogger, TypeBoxTypeProvider>

export interface Gateway {
  readonly bus: Pick<Bus, 'request' | 'isConnected'>
  readonly claiming: Claiming
  readonly limits: Limits
  readonly messages: Messages
  readonly templates: Templates
  readonly log: Log
  readonly metrics: HttpMetrics
  readonly inviteUrl: string | undefined
  readonly panelUrl: string | undefined
  /** The exported claim page, where there is one. */
  readonly site: Site | undefined
  readonly botNumber: string | undefined
  readonly now: () => Date
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** People see this address in a browser: its errors are pages. */
    page?: boolean
    /** False: no other origin may read it (cors.ts). */
    cors?: false
  }
  interface FastifyRequest {
    /** For the log line of the request: which claim and member it was about, and which code it ended in. */
    claimId: string | undefined
    memberId: string | undefined
    code: string | undefined
  }
}
