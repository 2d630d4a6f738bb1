// Deletions that should not be, and deletions that should.
import { subjectOf } from '../../../contracts/define.ts'
import { deletionStarted } from '../../../contracts/events/claims.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { waJidOf } from '../crowd.ts'
import { hasServer, publish, statusOf } from './deeds.ts'
import type { Drill } from './drill.ts'
import { MEMBERS } from './field.ts'

/** More than a tenth of the group, and more than five. */
const LEAVE = 12

export const deletionDrills: readonly Drill[] = [
  {
    alert: 'DeletionOfPresentMember', fault: 'with the operator\'s key an event is written on CLAIMS that says that a deletion has started of somebody who is in the group',
    nearest: 'nothing that Klaim does leads to it; nobody believes this event, and the server stays', mitigation: 'the brake is put on, the member\'s claim looked at, the dead letter discarded, the brake released',
    shows: /"code":"DELETION_OF_PRESENT"/, lingers: true, clearsMsMax: 1_800_000,
    scene: async (field) => {
      const { person, claimId } = await hasServer(field)
      const member_id = memberIdOf(field.system.memberIdKey, waJidOf(Number(person.number.slice(-8))))
      const data = { claim_id: claimId, member_id, delete_job_id: `${claimId}-d1` }
      return {
        cause: async () => { await publish(field.system, subjectOf(deletionStarted, data as never), JSON.stringify(data)) },
        mend: async (entry) => {
          await field.follow(entry.command('Brake', /set_brake/))
          await statusOf(person, claimId, 'active')
          for (const [, sequence] of (await field.follow('scripts/dead-letters list')).matchAll(/^ *(\d+)\b/gm)) await field.follow(`scripts/dead-letters discard ${sequence} --why 'a drill'`)
          await field.follow(entry.command('Brake', /set_brake/).replace('"tripped":true', '"tripped":false'))
        },
      }
    },
  },
  {
    alert: 'BrakeTripped', fault: `${LEAVE} of ${MEMBERS} members leave at once`, mitigation: 'they really did: the brake is released', shows: /\d+ of \d+ left within 10 minutes/,
    scene: async (field) => {
      const leaving = Array.from({ length: LEAVE }, () => field.member())
      return {
        cause: async () => { await Promise.all(leaving.map(async (person) => { await person.leave() })) },
        mend: async (entry) => { await field.follow(entry.command('Mitigation', /set_brake/)) },
      }
    },
  },
  {
    alert: 'ReaperOverdue', fault: 'nothing gets from reaper to the bot any more, as by a firewall, and the time of somebody who left is up', mitigation: 'it gets through again', shows: /klaim_deletion_verdicts_total\{verdict="roster_unknown",service="reaper"\} [1-9]/,
    scene: async (field) => {
      const { person, claimId } = await hasServer(field)
      await person.leave()
      await statusOf(person, claimId, 'deleting')
      return {
        cause: async () => { field.passage.cut() },
        mend: async () => {
          field.passage.mend()
          await statusOf(person, claimId, 'deleted')
        },
      }
    },
  },
  {
    alert: 'ReaperOverdue', variant: 'bot-away', fault: 'WhatsApp answers nothing, and the time of somebody who left is up', mitigation: 'WhatsApp answers; the bot connects by itself', quietedBy: 'BotDeaf',
    shows: /klaim_deletion_verdicts_total\{verdict="roster_unknown",service="reaper"\} [1-9]/,
    scene: async (field) => {
      const { person, claimId } = await hasServer(field)
      await person.leave()
      await statusOf(person, claimId, 'deleting')
      return {
        cause: async () => { await field.whatsappKnobs({ deaf: 'everything' }) },
        mend: async () => {
          await field.whatsappKnobs({ deaf: 'no' })
          await statusOf(person, claimId, 'deleted')
        },
      }
    },
  },
]
