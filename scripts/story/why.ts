// scripts/klaim why: one claim's story from the streams, where it stands, and what can be done. The streams tell it even while claim-store is away.
import { serverProgressed } from '../../contracts/events/servers.ts'
import { getBrake, getClaim, type ClaimView } from '../../contracts/requests.ts'
import { provisioningBucket } from '../../contracts/streams.ts'
import { Projection } from '../../services/claim-store/projection.ts'
import type { Bus } from '../../services/common/bus.ts'
import { factsOf } from '../../services/common/event-line.ts'
import { Fault } from '../../services/common/fault.ts'
import { createProgressStore } from '../../services/provisioner/progress-store.ts'
import { asOperator } from '../operating/operator.ts'
import { json } from '../operating/options.ts'
import { command, EXIT } from '../operating/program.ts'
import { refused } from '../operating/refusals.ts'
import { spanText } from '../operating/times.ts'
import { claimOf, WHOM, WHOM_DETAILS, whomOf, type Whom } from '../operating/whom.ts'
import { standingOf } from './standing.ts'
import { storyOf, type Told } from './told.ts'
import { wordsOf } from './words.ts'

/** Before and behind those that are left out. */
const LOOKS_SHOWN = 2

export const why = command({
  name: 'why', summary: "one claim's story from the streams, where it stands, what it waits for, and what can be done",
  words: WHOM, details: [...WHOM_DETAILS, 'Times are those of NATS; behind each stands how long after the first it was.'], options: json, exits: { [EXIT.no]: 'there is no such claim' },
  run: async (call) => {
    const whom = await whomOf(call.words)
    return await asOperator(call, async (bus) => {
      const found = await find(bus, whom)
      if (!found) return refused(call, 'NOT_FOUND')
      const { claimId, memberId, newerClaim, isByStream } = found
      const story = await storyOf(bus, claimId, memberId)
      const view = found.view ?? viewIn(story, claimId)
      if (!view) return refused(call, 'NOT_FOUND')
      const first = story[0]?.at ?? new Date(view.created_at)
      const lines = call.options.json ? story.map((told) => JSON.stringify(objectOf(told, first))) : shortened(story.map((told) => ({ told, line: lineOf(told, first) })))
      for (const line of lines) call.print(line)
      const now = bus.clock.now().getTime()
      const standing = standingOf({ view, story, newerClaim, brakeIsOn: await brakeOf(bus), trouble: await troubleOf(bus, view), now })
      call.tell(
        { claim_id: claimId, member_id: memberId, status: view.status, now: standing.now, waits_for: standing.waitsFor ?? null, can: standing.can, by_streams_alone: isByStream },
        '', `Claim ${claimId} of member ${memberId}`, ...(isByStream ? ['claim-store does not answer; this is what the streams say.'] : []),
        `Now:       ${standing.now}`, `Waits for: ${standing.waitsFor ?? 'nothing'}`, ...standing.can.map((what, n) => `${n === 0 ? 'You can:' : '        '}   ${what}`),
      )
      return EXIT.done
    })
  },
})

const lineOf = (told: Told, first: Date): string => `${told.at.toISOString()}  ${`+${spanText(told.at.getTime() - first.getTime())}`.padStart(13)}  ${told.who.padEnd(11)}  ${wordsOf(told)}`

/** A deletion that waits is looked at every few minutes, in the same words: of more than a few such looks the first and the last are shown. */
export function shortened (lines: ReadonlyArray<{ readonly told: Told, readonly line: string }>): string[] {
  const isLook = ({ told: { event } }: typeof lines[number]): boolean => event === 'deletion.due' || event === 'deletion.postponed'
  const shown: string[] = []
  for (let from = 0; from < lines.length;) {
    const length = lines.slice(from).findIndex((line) => !isLook(line))
    const run = lines.slice(from, length < 0 ? undefined : from + length)
    const rest = run.slice(LOOKS_SHOWN, -LOOKS_SHOWN)
    if (rest.length > 0) shown.push(...run.slice(0, LOOKS_SHOWN).map(({ line }) => line), `${' '.repeat(26)}…  ${rest.length} lines about looks that came to nothing; --json has them`, ...run.slice(-LOOKS_SHOWN).map(({ line }) => line))
    else shown.push(...run.map(({ line }) => line))
    from += run.length
    const next = lines[from]
    if (next) shown.push(next.line)
    from++
  }
  return shown
}

const objectOf = (told: Told, first: Date): Record<string, unknown> => {
  const { at, stream, sequence, event, who, data } = told
  return { time: at.toISOString(), after_s: (at.getTime() - first.getTime()) / 1_000, who, stream, sequence, event, words: wordsOf(told), ...factsOf(data) }
}

interface Found { readonly claimId: string, readonly memberId: string, readonly view: ClaimView | undefined, readonly newerClaim: string | undefined, readonly isByStream: boolean }

/** Undefined where there is no such claim. Throws claim-store's Fault where it does not answer and the streams do not say whose claim it is. */
async function find (bus: Bus, whom: Whom): Promise<Found | undefined> {
  try {
    const view = await claimOf(bus, whom)
    if (!view) return undefined
    const newest = await bus.request(getClaim, { member_id: view.member_id })
    const newerClaim = newest.ok && newest.claim.claim_id !== view.claim_id ? newest.claim.claim_id : undefined
    return { claimId: view.claim_id, memberId: view.member_id, view, newerClaim, isByStream: false }
  } catch (error) {
    if (!(error instanceof Fault) || !('claim_id' in whom)) throw error
    const progress = await bus.last('SERVERS', `servers.${whom.claim_id}.progressed`, [serverProgressed])
    if (!progress) throw error
    return { claimId: whom.claim_id, memberId: String(progress.event.data['member_id' as never]), view: undefined, newerClaim: undefined, isByStream: true }
  }
}

/** As claim-store would see it, but for the signatures of its decisions. */
function viewIn (story: readonly Told[], claimId: string): ClaimView | undefined {
  const projection = new Projection()
  for (const { stream, event, at, sequence, data } of story) {
    if (stream === 'CLAIMS' && event !== 'unknown') projection.apply({ id: '', type: `klaim.${event}.v1`, time: at.toISOString(), sequence, data: data as { member_id: string } })
  }
  return projection.view(claimId)
}

/** Undefined where the reaper does not answer. */
async function brakeOf (bus: Pick<Bus, 'request'>): Promise<boolean | undefined> {
  return await bus.request(getBrake, {}).then(({ tripped }) => tripped, () => undefined)
}

/** What the provisioner wrote down that keeps it waiting. */
async function troubleOf (bus: Pick<Bus, 'bucket'>, { claim_id: claimId, status }: ClaimView): Promise<{ code: string, since: number } | undefined> {
  if (status !== 'creating') return undefined
  const held = await createProgressStore(await bus.bucket(provisioningBucket)).load(claimId).catch(() => null)
  return held?.progress.trouble
}
