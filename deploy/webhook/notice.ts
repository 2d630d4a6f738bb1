// scripts/webhook-notice: movements from standard input, told one after the other by the client beside this file.
import { createInterface } from 'node:readline'
import { Type } from 'typebox'
import { GroupId } from '../../contracts/ids.ts'
import { WebhookNotice } from '../../contracts/http.ts'
import { loadConfig } from '../../services/common/config.ts'
import { validatorOf } from '../../services/common/envelope.ts'
import { createTeller, noticeOf, type Movement, type Notice, type Told } from './client.ts'

const Settings = Type.Object({
  WEBHOOK_URL: Type.String({ pattern: '^https?://[^\\s]+$' }),
  WEBHOOK_SECRET: Type.String({ pattern: '^[^\\s,]{32,256}$' }),
  GROUP_ID: GroupId,
})
const LINE_LENGTH_MAX = 2_048
const [STORED, REFUSED, TRY_LATER, MISCONFIGURED] = [0, 1, 75, 78]

async function main (env: Readonly<Record<string, string | undefined>>, lines: AsyncIterable<string>, print: (line: string) => void): Promise<number> {
  let settings
  try {
    settings = loadConfig(Settings, env)
  } catch (error) {
    print((error as Error).message)
    return MISCONFIGURED
  }
  const { WEBHOOK_URL: url, WEBHOOK_SECRET: secret, GROUP_ID: groupId } = settings
  return await tellLines({ lines, groupId, tell: createTeller({ url, secret }), print })
}

/** One after the other; answers the exit code. */
export async function tellLines ({ lines, groupId, tell, print }: { lines: AsyncIterable<string>, groupId: string, tell: (notice: Notice) => Promise<Told>, print: (line: string) => void }): Promise<number> {
  let exitCode = STORED
  let number = 0
  for await (const line of lines) {
    number++
    if (line.trim() === '') continue
    const notice = noticeIn(line, groupId)
    const { outcome, code } = notice ? await tell(notice) : { outcome: 'refused', code: 'INVALID_REQUEST' }
    print(`${number} ${outcome}${code === undefined ? '' : ` ${code}`}`)
    // What happened later must not be told before it.
    if (outcome === 'given_up') return TRY_LATER
    if (outcome === 'refused') exitCode = REFUSED
  }
  return exitCode
}

/** The line may bring a nonce, so that it can be told again by another run; otherwise it gets a new one. */
function noticeIn (line: string, groupId: string): Notice | undefined {
  if (line.length > LINE_LENGTH_MAX) return undefined
  try {
    const notice = noticeOf({ group_id: groupId, ...JSON.parse(line) as Omit<Movement, 'group_id'> })
    return validatorOf(WebhookNotice).Check(notice) ? notice : undefined
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  process.exitCode = await main(process.env, createInterface({ input: process.stdin }), (line) => { process.stdout.write(`${line}\n`) })
  // Whoever writes to us need not have finished.
  process.stdin.destroy()
}
