// One run of the canary: it claims as a visitor does, gets its login, has its server deleted, and sees that it is gone. It touches no claim but its own,
// which it knows by its number and by the user name that it gave; what an earlier run left behind goes first.
import { isOver } from '../../contracts/codes.ts'
import { deleteClaim, eraseMember, getBrake, getClaim, type ClaimView } from '../../contracts/requests.ts'
import type { Bus } from '../../services/common/bus.ts'
import { CanaryFailure, HeldBack } from './failure.ts'
import { watchLogin } from './login.ts'
import { waitFor } from './patience.ts'
import type { Settings } from './settings.ts'
import { CANARY_USERNAME, createVisitor } from './visitor.ts'

export interface Passed {
  readonly claimId: string
  /** From the form to the login, and to the end of the server, in seconds. */
  readonly loginS: number
  readonly goneS: number
}

/** So many claims of its own the ledger keeps; then the canary is forgotten like any former member, so that the book does not fill with it. */
const CLAIMS_KEPT_MAX = 50
const WORD = { by: 'canary', why: 'a run of the canary' } as const

/** Throws a CanaryFailure, HeldBack, or a Fault where a service does not answer. Where it made a claim and did not come through it has it deleted, without waiting for that. */
export async function runCanary (bus: Bus, settings: Settings, signal: AbortSignal, made: (claimId: string) => void = () => {}): Promise<Passed> {
  const patience = { patienceMs: settings.CANARY_PATIENCE_MS, signal }
  await clearUp(bus, settings, patience)
  // A server that could not be deleted afterwards is not made.
  if ((await bus.request(getBrake, {})).tripped) throw new HeldBack('BRAKE_ON')
  const visitor = createVisitor(settings, signal)
  const login = await watchLogin(bus, settings, signal)
  const began = performance.now()
  const sinceS = (): number => (performance.now() - began) / 1_000
  const { claimId, loginS } = await claimed().catch(async (error: unknown) => {
    await orderOwn(bus, settings).catch(() => {})
    throw error
  })
  await remove(bus, claimId, 'CANARY_NOT_DELETED', patience)
  const goneS = sinceS()
  await forgetNowAndThen(bus, claimId)
  return { claimId, loginS, goneS }

  async function claimed (): Promise<Pick<Passed, 'claimId' | 'loginS'>> {
    const claimId = await visitor.claim()
    made(claimId)
    const status = await waitFor(patience, async () => {
      const progress = await visitor.progress(claimId)
      if (progress?.status === 'failed') throw new CanaryFailure('CANARY_CLAIM_FAILED', progress.failure_code)
      return progress?.status === 'active' ? progress.status : undefined
    }, isVerdict)
    if (status === undefined) throw new CanaryFailure('CANARY_NOT_ACTIVE')
    if (await waitFor(patience, async () => await login.hasArrived(claimId) || undefined, isVerdict) === undefined) throw new CanaryFailure('CANARY_LOGIN_MISSING')
    return { claimId, loginS: sinceS() }
  }
}

const isVerdict = (error: unknown): boolean => error instanceof CanaryFailure

/** The living claim under the canary's number; undefined where there is none. Throws CANARY_NUMBER_TAKEN where it is somebody else's. */
async function living (bus: Pick<Bus, 'request'>, { CANARY_NUMBER }: Settings): Promise<ClaimView | undefined> {
  const answer = await bus.request(getClaim, { wa_jid: `${CANARY_NUMBER}@s.whatsapp.net` })
  if (!answer.ok || isOver(answer.claim.status)) return undefined
  if (!isOurs(answer.claim)) throw new CanaryFailure('CANARY_NUMBER_TAKEN')
  return answer.claim
}

/** What an earlier run left, because it was killed or something did not work. */
async function clearUp (bus: Bus, settings: Settings, patience: Parameters<typeof remove>[3]): Promise<void> {
  const left = await living(bus, settings)
  if (left) await remove(bus, left.claim_id, 'CANARY_LEFTOVER', patience)
}

/** Also where the answer to the form was lost, so that nobody knows the id. */
async function orderOwn (bus: Bus, settings: Settings): Promise<void> {
  const left = await living(bus, settings)
  if (left) await orderDeletion(bus, left.claim_id)
}

/** Where somebody else has the name it ends in a piece of the pseudonym. */
const isOurs = ({ username }: ClaimView): boolean => username === CANARY_USERNAME || username?.startsWith(`${CANARY_USERNAME}-`) === true

/** Asked as every operator asks. Again is no harm. */
async function orderDeletion (bus: Pick<Bus, 'request'>, claimId: string): Promise<void> {
  const answer = await bus.request(deleteClaim, { claim_id: claimId, even_if_present: true, ...WORD })
  // One that failed has nothing to be deleted.
  if (!answer.ok && answer.rejection !== 'NO_SERVER') throw new CanaryFailure('CANARY_NOT_DELETED', answer.rejection)
}

async function remove (bus: Bus, claimId: string, code: 'CANARY_NOT_DELETED' | 'CANARY_LEFTOVER', patience: { patienceMs: number, signal: AbortSignal }): Promise<void> {
  await orderDeletion(bus, claimId)
  const gone = await waitFor(patience, async () => {
    const answer = await bus.request(getClaim, { claim_id: claimId })
    if (!answer.ok || isOver(answer.claim.status)) return true
    // The brake is on for a day, and waits for a person.
    if (!answer.claim.deletion_started && (await bus.request(getBrake, {})).tripped) throw new HeldBack('BRAKE_ON')
    return undefined
  }, (error) => error instanceof HeldBack)
  if (gone === undefined) throw new CanaryFailure(code)
}

async function forgetNowAndThen (bus: Bus, claimId: string): Promise<void> {
  const answer = await bus.request(getClaim, { claim_id: claimId })
  if (!answer.ok) return
  const { member_id: memberId } = answer.claim
  const subject = `claims.${memberId}.requested`
  const { state: { subjects } } = await bus.raw.jsm.streams.info('CLAIMS', { subjects_filter: subject })
  if ((subjects?.[subject] ?? 0) > CLAIMS_KEPT_MAX) await bus.request(eraseMember, { member_id: memberId, ...WORD })
}
