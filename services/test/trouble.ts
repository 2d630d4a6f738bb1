// A system on which much went wrong already, so that whoever looks at it sees something: made by what members, WhatsApp, the panel and NATS do.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { newSeed } from '../../deploy/secrets/nats-seed.ts'
import type { System } from '../../deploy/staging/system.ts'
import { numberOf } from './crowd.ts'
import { actor, put, until } from './journey.ts'

/** More than the alert on slow answers allows. */
const SLOW_MS = 3_500

export interface Troubled {
  /** Claims of members 1 to 8: well; about to be deleted; well, but its login was refused; failed, and three more of people who may be erased; still being made. */
  readonly active: string
  readonly leaving: string
  readonly unheard: string
  readonly failed: string
  readonly former: readonly [string, string, string]
  readonly creating: string
}
export const MEMBER = { active: 1, leaving: 2, unheard: 3, failed: 4, former: [5, 6, 7], creating: 8 } as const

/** What becomes of servers that are made from now on. */
export const installs = async (system: System, install: 'success' | 'failure' | 'never'): Promise<void> => { await put(`${system.panelUrl}/__double/knobs`, 'PUT', { wings: { '*': { install } } }) }

export const logged = async (system: System, service: string, words: RegExp): Promise<void> => {
  await until(`${service} logs ${String(words)}`, () => words.test(readFileSync(join(system.logDirectory, `${service}.log`), 'utf8')) || undefined)
}

export async function trouble (system: System): Promise<Troubled> {
  const member = (n: number) => actor(system, numberOf(n))
  const claimed = async (n: number, status?: string): Promise<string> => await member(n).claimed(status)

  const [active, leaving] = [await claimed(MEMBER.active, 'active'), await claimed(MEMBER.leaving, 'active')]
  await member(MEMBER.leaving).leave()
  await member(MEMBER.leaving).becomes(leaving, 'deleting')

  await installs(system, 'failure')
  const [failed = '', ...former] = await Promise.all([MEMBER.failed, ...MEMBER.former].map(async (n) => await claimed(n, 'failed')))
  await installs(system, 'success')

  await put(`${system.whatsappUrl}/reachout-lock`, 'POST', { until: Math.floor(Date.now() / 1_000) + 3_600 })
  await put(`${system.whatsappUrl}/knobs`, 'PATCH', { refuseSends: { code: 463, remaining: -1 } })
  const unheard = await claimed(MEMBER.unheard, 'active')
  await logged(system, 'bot', /"event":"message.undeliverable"/)
  await put(`${system.whatsappUrl}/reachout-lock`, 'POST', { until: null })
  await put(`${system.whatsappUrl}/knobs`, 'PATCH', { refuseSends: null })

  // NATS does not know the notifier's key, and is away for a moment.
  await system.kill('notifier', 'SIGTERM')
  await system.start('notifier', { NATS_NKEY_SEED_FILE: '', NATS_NKEY_SEED: newSeed() }).then(() => { throw new Error('the notifier started with a key that NATS does not know') }, () => {})
  await system.start('notifier')
  await system.nats.restart()

  await actor(system, '6281300000001').claim()
  await installs(system, 'never')
  await system.kill('claim-store', 'SIGSTOP')
  const slowly = claimed(MEMBER.creating)
  await delay(SLOW_MS)
  await system.kill('claim-store', 'SIGCONT')
  const creating = await slowly
  await until('the server is being made', async () => (await member(MEMBER.creating).progress(creating)).step === 'install' || undefined)
  await installs(system, 'success')
  return { active, leaving, unheard, failed, former: former as [string, string, string], creating }
}
