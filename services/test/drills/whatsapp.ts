// What becomes of the bot's account, its connection and its group.
import { PASSWORD, until } from '../journey.ts'
import { claims, statusOf } from './deeds.ts'
import type { Drill } from './drill.ts'
import { commandUnder } from './entry.ts'
import type { Field, Member } from './field.ts'

const BOT = '6281299999990'
const LOCKED_S = 30

/** Members whose logins WhatsApp refuses, because they never wrote to the bot; and then it does not any more, and they are sent new ones. */
async function withoutLogins (field: Field, count: number) {
  const people: ReadonlyArray<Member> = Array.from({ length: count }, () => field.member())
  const made = new Map<Member, string>()
  return {
    cause: async () => {
      await field.whatsappKnobs({ refuseColdSends: true })
      for (const person of people) {
        const claimId = await claims(person)
        made.set(person, claimId)
        await statusOf(person, claimId, 'active')
      }
    },
    mend: async () => {
      await field.whatsappKnobs({ refuseColdSends: false })
      for (const [person, claimId] of made) {
        await field.follow(commandUnder('A login did not arrive.', /send_login/).replace('…', claimId))
        await until('the new login arrives', async () => (await person.chat()).some(({ text }) => PASSWORD.test(text)) || undefined)
      }
    },
  }
}

export const whatsappDrills: readonly Drill[] = [
  {
    alert: 'BotDeaf', fault: 'WhatsApp keeps the connection and answers nothing', mitigation: 'it answers; the bot connects by itself', shows: /"whatsapp": ?"(?!open|ok)[a-z]+"|WHATSAPP_\w+/,
    scene: async ({ whatsappKnobs }) => ({ cause: async () => { await whatsappKnobs({ deaf: 'everything' }) }, mend: async () => { await whatsappKnobs({ deaf: 'no' }) } }),
  },
  {
    alert: 'BotLoggedOut', fault: 'the bot is removed from the linked devices on its phone', mitigation: 'it is linked again (*Link the bot*)', labels: { state: 'linking' }, shows: /linking|WHATSAPP_\w+/,
    scene: async ({ system, whatsapp }) => ({
      cause: async () => {
        const { linked } = await (await fetch(`${system.whatsappUrl}/connection`)).json() as { linked: Array<{ device: number }> }
        for (const { device } of linked) await whatsapp('unlink', { device })
      },
      mend: async () => { await system.link() },
    }),
  },
  {
    alert: 'RosterUnreliable', fault: 'an admin removes the bot from the group', mitigation: 'an admin adds it', shows: /klaim_roster_reliable\{[^}]*\} 0/,
    scene: async ({ whatsapp }) => ({ cause: async () => { await whatsapp(`people/${BOT}/remove`) }, mend: async () => { await whatsapp(`people/${BOT}/join`, { how: 'admin' }) } }),
  },
  {
    alert: 'WhatsAppRestricted', fault: `WhatsApp locks the account for ${LOCKED_S} s: nobody may be written to who never wrote to it`, nearest: 'a real lock lasts for days', mitigation: 'the time is waited for that the log says',
    shows: /klaim_whatsapp_restricted\{[^}]*\} 1/,
    scene: async ({ whatsapp }) => ({
      cause: async () => { await whatsapp('reachout-lock', { until: Math.floor(Date.now() / 1_000) + LOCKED_S }) },
      mend: async () => {},
      end: async () => { await whatsapp('reachout-lock', { until: null }) },
    }),
  },
  {
    alert: 'LoginUndelivered', fault: 'WhatsApp refuses a login (463), because its member never wrote to the bot', mitigation: 'it is sent anew (*A login did not arrive*)', shows: /WHATSAPP_\w+/,
    scene: async (field) => await withoutLogins(field, 1),
  },
  {
    alert: 'LoginsUndelivered', fault: 'WhatsApp refuses the logins (463) of three members who never wrote to the bot', mitigation: 'each is sent a new one (*A login did not arrive*)', shows: /klaim_logins_undelivered_total\{code="WHATSAPP_\w+",service="bot"\} [1-9]/,
    scene: async (field) => await withoutLogins(field, 3),
  },
]
