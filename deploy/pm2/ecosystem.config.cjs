// The services on a server without containers: pm2 start deploy/pm2/ecosystem.config.cjs
// Each is configured by /etc/klaim/env/all.env and /etc/klaim/env/<service>.env (names as in config/.env.example; secrets as NAME_FILE, because PM2 keeps the
// environment of what it runs in a file of its own). KLAIM_ENV_DIRECTORY and KLAIM_LOG_DIRECTORY say otherwise.
const { existsSync, readFileSync } = require('node:fs')
const { join, resolve } = require('node:path')
const { parseEnv } = require('node:util')
const { nodeArgsFor, PROCESS_ENV } = require('../process.ts')

const environment = process.env.KLAIM_ENV_DIRECTORY ?? '/etc/klaim/env'
const logs = process.env.KLAIM_LOG_DIRECTORY ?? '/var/log/klaim'
/** Where deploy/precompile.ts put it; it goes with the packages that it was compiled from. */
const compiled = process.env.NODE_COMPILE_CACHE ?? resolve(__dirname, '../../node_modules/.cache/compiled')

const settingsIn = (name) => {
  const file = join(environment, `${name}.env`)
  return existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {}
}

/** Longer than a service takes to finish what it has in hand (STOP_TIMEOUT_MS, 20 s), or PM2 kills it. */
const STOP_MS_MAX = 25_000
/** A service that starts waits for NATS; after this PM2 goes on without its word. */
const START_MS_MAX = 60_000

/** `defaults`: settings that may be left out. */
const service = (name, defaults = {}) => ({
  name,
  script: resolve(__dirname, 'service.ts'),
  args: [name],
  cwd: resolve(__dirname, '../..'),
  interpreter: 'node',
  node_args: nodeArgsFor(name),
  exec_mode: 'fork',
  instances: 1,
  wait_ready: true,
  listen_timeout: START_MS_MAX,
  kill_timeout: STOP_MS_MAX,
  // Wrongly configured: another start helps nobody.
  stop_exit_codes: [78],
  exp_backoff_restart_delay: 200,
  max_memory_restart: '400M',
  out_file: join(logs, `${name}.log`),
  error_file: join(logs, `${name}.log`),
  merge_logs: true,
  env: { ...PROCESS_ENV, NODE_COMPILE_CACHE: compiled, ...defaults, ...settingsIn('all'), ...settingsIn(name) },
})

module.exports = {
  apps: [
    // Two processes share the port. PM2 replaces one after the other, so that one always answers; HEALTH_PORT is that of the first, and one more that of the second.
    { ...service('gateway', { HEALTH_PORT: '9211' }), exec_mode: 'cluster', instances: 2, increment_var: 'HEALTH_PORT' },
    ...['claim-store', 'provisioner', 'reaper', 'notifier', 'bot'].map((name) => service(name)),
  ],
}
