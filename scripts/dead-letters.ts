// scripts/dead-letters: what nobody could handle is looked at, handled after all, or thrown away. NATS_URL and the operator's NATS_NKEY_SEED say where.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Type } from 'typebox'
import { createBus } from '../services/common/bus.ts'
import { loadConfig } from '../services/common/config.ts'
import { NatsConfig, natsOf, type NatsAccess } from '../services/common/connect.ts'
import { Fault } from '../services/common/fault.ts'
import { createLog } from '../services/common/log.ts'
import { createMetrics } from '../services/common/metrics.ts'
import { openDeadLetters, type DeadLetters } from './letters/letters.ts'
import type { Letter } from './letters/letter.ts'
import { maskedBody, revealedBody } from './letters/masking.ts'

const EXIT = { done: 0, nothing: 1, refused: 2, usage: 64, unavailable: 69 } as const
const REACH_MS_MAX = 10_000
const LISTED_MAX = 200
const USAGE = "scripts/dead-letters list [--from <sequence>] | show <sequence> [--reveal] | replay <sequence> | discard <sequence> --why '…'"

type Print = (line: string) => void
type Command = (letters: DeadLetters, by: string, print: Print) => Promise<number>

async function main (args: readonly string[], env: Readonly<Record<string, string | undefined>>, print: Print): Promise<number> {
  const command = commandOf(args)
  if (!command) {
    print(USAGE)
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
    return await connected(access, async (letters) => await command(letters, by, print))
  } catch (error) {
    print(error instanceof Fault ? `${error.code}: the letter is still there, and its message may or may not have been handled. It is safe to try again.` : 'NATS cannot be reached: nothing has happened.')
    return EXIT.unavailable
  }
}

async function connected (access: NatsAccess, work: (letters: DeadLetters) => Promise<number>): Promise<number> {
  const connecting = createBus({ ...access, service: 'operator', log: createLog('operator', 'silent', () => {}), metrics: createMetrics('operator'), now: () => new Date() })
  const late = delay(REACH_MS_MAX, undefined, { ref: false }).then(() => { throw new Error('not reachable') })
  const bus = await Promise.race([connecting, late])
  try {
    return await work(openDeadLetters(bus))
  } finally {
    await bus.close()
  }
}

/** Undefined where it was called wrongly. */
function commandOf (args: readonly string[]): Command | undefined {
  let given
  try {
    given = parseArgs({ args: [...args], allowPositionals: true, options: { from: { type: 'string' }, reveal: { type: 'boolean' }, why: { type: 'string' } } })
  } catch {
    return undefined
  }
  const { positionals: [verb, which, ...more], values: { from, reveal, why } } = given
  const sequence = sequenceOf(which ?? '')
  const takes = (...names: string[]): boolean => more.length === 0 && Object.keys(given.values).every((name) => names.includes(name))
  if (verb === 'list') {
    const start = sequenceOf(from ?? '1')
    return takes('from') && which === undefined && start !== undefined ? async (letters, _, print) => await list(letters, start, print) : undefined
  }
  if (sequence === undefined) return undefined
  if (verb === 'show' && takes('reveal')) return async (letters, _, print) => await show(letters, sequence, reveal === true, print)
  if (verb === 'replay' && takes()) return async (letters, by, print) => await replay(letters, sequence, by, print)
  if (verb === 'discard' && takes('why') && why && why.length <= 200) return async (letters, by, print) => await discard(letters, sequence, by, why, print)
  return undefined
}
const sequenceOf = (text: string): number | undefined => /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined

async function list (letters: DeadLetters, from: number, print: Print): Promise<number> {
  const found = await letters.list(from, LISTED_MAX)
  for (const { sequence, letter } of found) print(letter ? lineOf(letter) : `${sequence}  no dead letter of ours: somebody else wrote it`)
  if (found.length === LISTED_MAX) print(`There may be more: scripts/dead-letters list --from ${(found.at(-1)?.sequence ?? 0) + 1}`)
  if (found.length === 0) print('There are no dead letters.')
  return EXIT.done
}

const lineOf = ({ sequence, buriedAt, reason, consumer, subject, claimId, deliveries, help }: Letter): string =>
  `${sequence}  ${buriedAt}  ${reason}  ${consumer.name}  ${subject}  claim ${claimId ?? '-'}  after ${deliveries}  ${help}`

async function show (letters: DeadLetters, sequence: number, isRevealed: boolean, print: Print): Promise<number> {
  const found = await letters.read(sequence)
  if (!found) return gone(print)
  const { letter, data } = found
  print(letter ? lineOf(letter) : `${sequence}  no dead letter of ours: somebody else wrote it`)
  if (letter) print(`${letter.type}, message ${letter.originalSequence} of ${letter.consumer.stream}`)
  print(isRevealed ? revealedBody(data) : maskedBody(letter?.type ?? '', data))
  return EXIT.done
}

async function replay (letters: DeadLetters, sequence: number, by: string, print: Print): Promise<number> {
  const outcome = await letters.replay(sequence, by)
  switch (outcome.kind) {
    case 'replayed':
      print(`${outcome.letter.consumer.name} has handled it; the letter is erased.`)
      return EXIT.done
    case 'failed':
      print(`${outcome.code}: ${outcome.letter.consumer.name} could not handle it; the letter stays. The log of ${outcome.letter.consumer.service} says why.`)
      return EXIT.refused
    case 'forged':
      print('Refused: this is not the copy of a message that stands where it says. Look at who wrote it, then discard it.')
      return EXIT.refused
    case 'original_gone':
      print('Refused: the original is no longer on its stream, so nothing shows any more that it was said. Discard it.')
      return EXIT.refused
    case 'gone':
      return gone(print)
    default:
      return outcome satisfies never
  }
}

async function discard (letters: DeadLetters, sequence: number, by: string, why: string, print: Print): Promise<number> {
  if (!await letters.discard(sequence, by, why)) return gone(print)
  print('Erased. The log of claim-store has who and why.')
  return EXIT.done
}

function gone (print: Print): number {
  print('There is no such dead letter, or no longer.')
  return EXIT.nothing
}

// A connection that is still being tried for keeps the process alive.
process.exit(await main(process.argv.slice(2), process.env, (line) => { process.stdout.write(`${line}\n`) }))
