import { Type, type Static, type TObject } from 'typebox'
import klaim from '../../package.json' with { type: 'json' }
import { loadConfig } from './config.ts'
import { NatsConfig } from './connect.ts'
import { codeOf } from './fault.ts'
import { serveHealth, type Checks } from './health.ts'
import { createLog, type Log } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'

/** What every service is configured with, beside its own. */
export const CommonConfig = {
  ...NatsConfig,
  LOG_LEVEL: Type.String({ default: 'info', pattern: '^(trace|debug|info|warn|error|fatal)$' }),
  HEALTH_HOST: Type.String({ default: '127.0.0.1' }),
  /** Internal port of /healthz, /readyz and /metrics; 0 takes any free one. */
  HEALTH_PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 0 }),
  /** How long a stopping service may finish what it has in hand. */
  STOP_TIMEOUT_MS: Type.Integer({ minimum: 100, maximum: 120_000, default: 20_000 }),
  /** Where traces are sent, by OTLP over HTTP (protobuf), and by OpenTelemetry's own names; absent: there are none, at no cost. */
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(Type.String({ pattern: '^https?://[^\\s?#]+$', maxLength: 500 })),
  /** Sent with them: `authorization=Bearer%20…`, several by comma. */
  OTEL_EXPORTER_OTLP_HEADERS: Type.Optional(Type.String({ pattern: '^[!-~]+=[!-~ ]*$', maxLength: 4_000 })),
  /** How long the endpoint may take for a batch, in milliseconds. */
  OTEL_EXPORTER_OTLP_TIMEOUT: Type.Optional(Type.Integer({ minimum: 100, maximum: 60_000 })),
  /** How long spans are collected before they are sent, in milliseconds, and how many are kept meanwhile: what is more is dropped. */
  OTEL_BSP_SCHEDULE_DELAY: Type.Optional(Type.Integer({ minimum: 10, maximum: 60_000 })),
  OTEL_BSP_MAX_QUEUE_SIZE: Type.Optional(Type.Integer({ minimum: 16, maximum: 65_536 })),
  /** Of which commit this is, where whoever built it knows; shown in klaim_build_info. */
  BUILD_COMMIT: Type.Optional(Type.String({ pattern: '^[0-9a-f]{7,64}$' })),
}

const Common = Type.Object(CommonConfig)

export interface Runtime { readonly log: Log, readonly metrics: Metrics, readonly now: () => Date }
export interface Running { readonly checks: Checks, readonly stop: () => Promise<void> }
/** Builds a service and answers with how to stop it. Importing a service's main.ts starts nothing. */
export type Start<Config> = (config: Config, runtime: Runtime) => Promise<Running>

/** Rejections that nobody waits for, in somebody else's code, with which a service can go on; they are logged under `code`. */
export interface Bearable { readonly code: string, readonly isBearable: (error: unknown) => boolean }

/** The one place that knows the process: environment, signals, exit codes. 0 stopped, 1 crashed, 78 misconfigured (EX_CONFIG). */
export async function run<Schema extends TObject> (service: string, schema: Schema, start: Start<Readonly<Static<Schema>>>, bearable?: Bearable): Promise<void> {
  const log = createLog(service, process.env['LOG_LEVEL'] || 'info')
  let config: Readonly<Static<Schema>>
  try {
    config = loadConfig(schema, process.env)
  } catch (error) {
    process.stderr.write(`${service}: ${(error as Error).message}\n`)
    process.exit(78)
  }
  const common = config as unknown as Readonly<Static<typeof Common>>
  const { HEALTH_HOST, HEALTH_PORT, STOP_TIMEOUT_MS, BUILD_COMMIT } = common
  const metrics = createMetrics(service, BUILD_COMMIT)
  const fatal = (error: unknown): void => {
    log.fatal({ code: codeOf(error), err: error }, 'service ends after a fault nobody handled')
    setTimeout(() => process.exit(1), 100)
  }
  process.on('uncaughtException', fatal).on('unhandledRejection', (error) => {
    if (!bearable?.isBearable(error)) return fatal(error)
    log.error({ code: bearable.code, err: error }, 'a library did not handle a fault of its own')
  })

  const tracing = await traced(service, common, log)
  let running: Running
  try {
    running = await start(config, { log, metrics, now: () => new Date() })
  } catch (error) {
    fatal(error)
    return
  }
  const health = await serveHealth({ host: HEALTH_HOST, port: HEALTH_PORT, metrics, checks: running.checks })

  let stopping = false
  const stop = (signal: string): void => {
    if (stopping) return
    stopping = true
    log.info({ signal }, 'service stops')
    setTimeout(() => { log.error('service did not stop in time'); process.exit(1) }, STOP_TIMEOUT_MS).unref()
    running.stop().then(() => tracing?.stop()).then(() => health.close()).then(() => { log.info('service stopped'); setTimeout(() => process.exit(0), 20) }, fatal)
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
  // Last: who reads it may stop the service at once.
  log.info({ health_port: health.port }, 'service started')
}

/** The SDK is a megabyte of code: only who exports loads it. The defaults are those of OpenTelemetry's specification. */
async function traced (service: string, config: Readonly<Static<typeof Common>>, log: Log): Promise<{ stop: () => Promise<void> } | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers, OTEL_EXPORTER_OTLP_TIMEOUT: timeoutMs = 10_000, OTEL_BSP_SCHEDULE_DELAY: delayMs = 5_000, OTEL_BSP_MAX_QUEUE_SIZE: queueMax = 2_048 } = config
  if (endpoint === undefined) return undefined
  const { startTracing } = await import('./tracing-export.ts')
  return startTracing({ service, version: klaim.version, endpoint, headers, timeoutMs, delayMs, queueMax, log })
}
