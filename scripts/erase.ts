// scripts/erase: has claim-store erase a former member. NATS_URL and the operator's NATS_NKEY_SEED; the claim or member is the argument, or the number is read from standard input.
import { createInterface } from 'node:readline/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Type, type Static } from 'typebox'
import { ClaimId, MemberId } from '../contracts/ids.ts'
import { eraseMember } from '../contracts/requests.ts'
import { createBus } from '../services/common/bus.ts'
import { loadConfig } from '../services/common/config.ts'
import { NatsConfig, natsOf, type NatsAccess } from '../services/common/connect.ts'
import { validatorOf } from '../services/common/envelope.ts'
import { Fault } from '../services/common/fault.ts'
import { createLog } from '../services/common/log.ts'
import { createMetrics } from '../services/common/metrics.ts'
import { waJidOf } from '../services/gateway/phone-number.ts'

type Whom = { claim_id: string } | { member_id: string } | { wa_jid: string }
type Answer = Static<typeof eraseMember.answer>

const EXIT = { erased: 0, nothing: 1, hasServer: 2, usage: 64, unavailable: 69 } as const
const REACH_MS_MAX = 10_000

async function main (args: readonly string[], env: Readonly<Record<string, string | undefined>>, print: (line: string) => void): Promise<number> {
  let given
  try {
    given = parseArgs({ args: [...args], allowPositionals: true, options: { why: { type: 'string' } } })
  } catch (error) {
    print((error as Error).message)
    return EXIT.usage
  }
  const { positionals: [id, ...more], values: { why = 'asked for' } } = given
  const whom = more.length > 0 ? undefined : id === undefined ? await asked() : meant(id)
  if (!whom) {
    print(id === undefined ? 'That is no WhatsApp number.' : 'Give a claim id or a member id, or nothing: the number is then asked for, so that it stays out of the shell\'s history.')
    return EXIT.usage
  }
  let access: NatsAccess
  try {
    access = natsOf(loadConfig(Type.Object(NatsConfig), env))
  } catch (error) {
    print((error as Error).message)
    return EXIT.usage
  }
  const by = (env['SUDO_USER'] || env['USER'] || 'operator').slice(0, 80)
  try {
    return told(await erase(access, { ...whom, by, why: why.slice(0, 200) || 'asked for' }), print)
  } catch (error) {
    print(error instanceof Fault ? `${error.code}: nothing is known to have happened. Try again.` : 'NATS cannot be reached: nothing has happened.')
    return EXIT.unavailable
  }
}

function meant (id: string): Whom | undefined {
  if (validatorOf(ClaimId).Check(id)) return { claim_id: id }
  return validatorOf(MemberId).Check(id) ? { member_id: id } : undefined
}

async function asked (): Promise<Whom | undefined> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const typed = await lines.question('WhatsApp number: ')
  lines.close()
  const wa_jid = waJidOf(typed)
  return wa_jid === undefined ? undefined : { wa_jid }
}

async function erase (access: NatsAccess, question: Static<typeof eraseMember.question>): Promise<Answer> {
  const connecting = createBus({ ...access, service: 'operator', log: createLog('operator', 'silent', () => {}), metrics: createMetrics('operator'), now: () => new Date() })
  const late = delay(REACH_MS_MAX, undefined, { ref: false }).then(() => { throw new Error('not reachable') })
  const bus = await Promise.race([connecting, late])
  try {
    return await bus.request(eraseMember, question)
  } finally {
    await bus.close()
  }
}

function told (answer: Answer, print: (line: string) => void): number {
  if (answer.ok) {
    print(`Erased: ${answer.member_id}. What is stored goes within moments; the bot's part once a bot is running.`)
    return EXIT.erased
  }
  if (answer.rejection === 'NOT_FOUND') {
    print('Nothing is stored under that.')
    return EXIT.nothing
  }
  print('There is a server, or one is being made or deleted: nothing is erased. The member leaves the group first; once the server is deleted, come back.')
  return EXIT.hasServer
}

// A connection that is still being tried for keeps the process alive.
process.exit(await main(process.argv.slice(2), process.env, (line) => { process.stdout.write(`${line}\n`) }))
