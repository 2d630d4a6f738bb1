// What must be true when all have walked to the end and nobody dies any more.
import type { System } from '../../../deploy/staging/system.ts'
import { settled, stored } from '../crowd.ts'
import { panelState, serversMade } from '../journey.ts'
import { doubledIn, read } from '../chaos/story.ts'

/** What is lost, doubled or left over after so many walks, in words. */
export async function aftermath (system: System, walks: number): Promise<string[]> {
  const problems: string[] = []
  const expect = (isSo: boolean, words: string): void => { if (!isSo) problems.push(words) }
  await settled(system).catch((error: unknown) => { problems.push((error as Error).message) })
  const { servers, users, orphans } = await panelState(system)
  const [made, requested, dead] = [await serversMade(system), await stored(system, 'CLAIMS', 'claims.*.requested'), await read(system, 'DEAD_LETTERS')]
  expect(made === walks, `${walks} claims were accepted and ${made} servers made`)
  expect(requested === walks, `${walks} claims were accepted and ${requested} are in the ledger`)
  expect(servers.length === 0, `${servers.length} servers are left over`)
  expect(users.every(({ externalId }) => externalId === null), 'users are left over')
  expect(orphans.length === 0, `${orphans.length} containers are left over`)
  for (const stream of ['CLAIMS', 'SERVERS', 'DELETIONS', 'MESSAGES', 'MEMBERS']) for (const id of doubledIn(await read(system, stream))) problems.push(`${stream}: ${id} was said twice`)
  for (const { subject, header } of dead) problems.push(`dead letter ${subject} for ${header('Klaim-Dead-Consumer')} after ${header('Klaim-Dead-Deliveries')} deliveries: ${header('Klaim-Dead-Reason')}`)
  return problems
}
