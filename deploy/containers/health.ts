// Docker's health check of whatever runs in this container: exit code 0 where its address answers 200. The address is the one argument; a path alone
// is asked of the internal port, and without an argument that is whether the process is alive.
import { get } from 'node:http'

/** Docker gives up a second later. */
const TIMEOUT_MS = 4_000

const [, , target = '/healthz'] = process.argv
const question = get(new URL(target, `http://127.0.0.1:${process.env['HEALTH_PORT']}`), { timeout: TIMEOUT_MS }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1))
question.on('timeout', () => process.exit(1)).on('error', () => process.exit(1))
