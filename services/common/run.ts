import { Type, type Static, type TObject } from 'typebox'
import { loadConfig } from './config.ts'
import { NatsConfig } from './connect.ts'
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
}

export interface Runtime { readonly log: Log, readonly metrics: Metrics, readonly now: () => Date }
export interface Running { readonly checks: Checks, readonly stop: () => Promise<void> }
/** Builds a service and answers with how to stop it. Importing a service's main.ts starts nothing. */
export type Start<Config> = (config: Config, runtime: Runtime) => Promise<Running>

/** The one place that knows the process: environment, signals, exit codes. 0 stopped, 1 crashed, 78 misconfigured (EX_CONFIG). */
export async function run<Schema extends TObject> (service: string, schema: Schema, start: Start<Readonly<Static<Schema>>>): Promise<void> {
  const log = createLog(service, process.env['LOG_LEVEL'] || 'info')
  let config: Readonly<Static<Schema>>
  try {
    config = loadConfig(schema, process.env)
  } catch (error) {
    process.stderr.write(`${service}: ${(error as Error).message}\n`)
    process.exit(78)
  }
  const { HEALTH_HOST, HEALTH_PORT, STOP_TIMEOUT_MS } = config as unknown as { HEALTH_HOST: string, HEALTH_PORT: number, STOP_TIMEOUT_MS: number }
  const metrics = createMetrics(service)
  const fatal = (error: unknown): void => {
    log.fatal({ err: error }, 'service ends after a fault nobody handled')
    setTimeout(() => process.exit(1), 100)
  }
  process.on('uncaughtException', fatal).on('unhandledRejection', fatal)

  let running: Running
  try {
    running = await start(config, { log, metrics, now: () => new Date() })
  } catch (error) {
    fatal(error)
    return
  }
  const health = await serveHealth({ host: HEALTH_HOST, port: HEALTH_PORT, metrics, checks: running.checks })
  log.info({ healthPort: health.port }, 'service started')

  let stopping = false
  const stop = (signal: string): void => {
    if (stopping) return
    stopping = true
    log.info({ signal }, 'service stops')
    setTimeout(() => { log.error('service did not stop in time'); process.exit(1) }, STOP_TIMEOUT_MS).unref()
    running.stop().then(() => health.close()).then(() => { log.info('service stopped'); setTimeout(() => process.exit(0), 20) }, fatal)
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
}
