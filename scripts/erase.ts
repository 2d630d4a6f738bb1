// scripts/erase: has claim-store erase a former member. NATS_URL and the operator's NATS_NKEY_SEED; the claim or member is the argument, or the number is read from standard input.
import type { Static } from 'typebox'
import { isOver } from '../contracts/codes.ts'
import { WHY_LENGTH_MAX } from '../contracts/events/operations.ts'
import { eraseMember } from '../contracts/requests.ts'
import type { Bus } from '../services/common/bus.ts'
import { asOperator } from './operating/operator.ts'
import { change, sentence, withDefault } from './operating/options.ts'
import { command, EXIT, runScript } from './operating/program.ts'
import { claimOf, WHOM, WHOM_DETAILS, whomOf, type Whom } from './operating/whom.ts'

const HAS_SERVER = 2

export const erase = command({
  name: 'erase', summary: 'a former member is forgotten for good, with all that is stored about their claims', words: WHOM, details: WHOM_DETAILS,
  options: { why: withDefault(sentence('<text>', WHY_LENGTH_MAX), 'the reason; it stays for 30 days', 'asked for'), ...change },
  exits: { [EXIT.no]: 'nothing is stored', [HAS_SERVER]: 'there is a server' },
  async run (call) {
    const { options: { why, by = call.login, 'dry-run': isDry } } = call
    const whom = await whomOf(call.words)
    return await asOperator(call, async (bus) => {
      const answer = isDry ? await considered(bus, whom) : await bus.request(eraseMember, { ...whom, by, why })
      if (answer.ok) {
        call.tell({ ...answer, dry_run: isDry }, isDry ? `Would be erased: ${answer.member_id}. Nothing was changed.` : `Erased: ${answer.member_id}. What is stored goes within moments; the bot's part once a bot is running.`)
        return EXIT.done
      }
      const said = { ok: false, code: answer.rejection }
      if (answer.rejection === 'NOT_FOUND') {
        call.tell(said, 'Nothing is stored under that.')
        return EXIT.no
      }
      call.tell(said, 'There is a server, or one is being made or deleted: nothing is erased. The member leaves the group first; once the server is deleted, come back.')
      return HAS_SERVER
    })
  },
})

/** What the ledger would decide, by the newest claim as it is now. */
async function considered (bus: Pick<Bus, 'request'>, whom: Whom): Promise<Static<typeof eraseMember.answer>> {
  const claim = await claimOf(bus, whom)
  if (!claim) return { ok: false, rejection: 'NOT_FOUND' }
  const newest = await claimOf(bus, { member_id: claim.member_id }) ?? claim
  return isOver(newest.status) ? { ok: true, member_id: claim.member_id } : { ok: false, rejection: 'HAS_SERVER' }
}

if (import.meta.main) await runScript('scripts/erase', erase)
