// Claims that do not come to their end.
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { panelState, PASSWORD, until } from '../journey.ts'
import { installs } from '../trouble.ts'
import type { Drill } from './drill.ts'
import { claims, hasServer, publish, repeating, statusOf } from './deeds.ts'
import { INSTALL_DELAY_MS } from './field.ts'

export const claimDrills: readonly Drill[] = [
  {
    alert: 'ClaimFailed', fault: 'the install of a server fails', mitigation: 'the node installs again, and the member claims once more', labels: { code: 'INSTALL_FAILED' },
    shows: /"failure_code": ?"INSTALL_FAILED"/,
    scene: async (field) => {
      const person = field.member()
      return {
        cause: async () => {
          await installs(field.system, 'failure')
          await statusOf(person, await claims(person), 'failed')
        },
        mend: async () => {
          await installs(field.system, 'success')
          await statusOf(person, await claims(person), 'active')
        },
      }
    },
  },
  {
    alert: 'ClaimsStuck', fault: 'the install of a server neither ends nor fails', mitigation: 'the node says that it is done', shows: /\tinstall$/m,
    scene: async (field) => {
      const person = field.member()
      let claimId = ''
      return {
        cause: async () => {
          await installs(field.system, 'never')
          claimId = await claims(person)
        },
        mend: async () => {
          await installs(field.system, 'success')
          const { servers } = await panelState(field.system)
          await field.behindPanel('install-finished', { id: servers.find(({ externalId }) => externalId === claimId)?.id, successful: true })
          await statusOf(person, claimId, 'active')
        },
      }
    },
  },
  {
    alert: 'ClaimsTurnedAway', fault: 'gateway was started with an internal secret that the bot does not know (any more), and people claim', labels: { result: 'BOT_OFFLINE' },
    mitigation: 'gateway is started with the right one', shows: /"code":"BOT_OFFLINE"/,
    scene: async ({ system, directory, member }) => {
      const secretFile = join(directory, 'internal_secret.old')
      writeFileSync(secretFile, 'the-internal-secret-of-before-the-rotation', { mode: 0o600 })
      const person = member()
      const visiting = repeating(async () => { await person.claim() }, 1_000)
      return {
        cause: async () => {
          await system.kill('gateway', 'SIGTERM')
          await system.start('gateway', { INTERNAL_SECRET_FILE: secretFile })
          visiting.begin()
        },
        mend: async () => {
          await visiting.end()
          await system.kill('gateway', 'SIGTERM')
          await system.start('gateway')
        },
      }
    },
  },
  {
    alert: 'MessagesStuck', fault: 'WhatsApp takes no message for now (429)', mitigation: 'it takes messages again; what waited is sent', labels: { service: 'bot', consumer: 'bot-messages' }, inPlaceOf: [['CLAIMS', 'MESSAGES'], ['notifier.log', 'bot.log']],
    shows: /bot-messages +│ Pull +│ Explicit +│ \S+ +│ 1 /,
    scene: async (field) => {
      const person = field.member()
      return {
        cause: async () => {
          await field.whatsappKnobs({ refuseSends: { code: 429, remaining: -1 } })
          await statusOf(person, await claims(person), 'active')
        },
        mend: async () => {
          await field.whatsappKnobs({ refuseSends: null })
          await until('the login arrives', async () => (await person.chat()).some(({ text }) => PASSWORD.test(text)) || undefined)
        },
      }
    },
  },
  {
    alert: 'SloBurnFast', fault: 'six members claim, and every install fails', mitigation: 'the nodes install again, and somebody claims', shows: /\b6 INSTALL_FAILED/,
    scene: async (field) => {
      const people = Array.from({ length: 6 }, () => field.member())
      return {
        cause: async () => {
          await installs(field.system, 'failure')
          await Promise.all(people.map(async (person) => { await statusOf(person, await claims(person), 'failed') }))
        },
        mend: async () => {
          await installs(field.system, 'success')
          await hasServer(field)
        },
      }
    },
  },
  {
    alert: 'SloBurnSlow', fault: 'three members claim, and each install takes 125 s', mitigation: 'installs are fast again, and members claim', shows: /\t1[2-9]\d{4}/, firesMsMax: 240_000, clearsMsMax: 600_000,
    scene: async (field) => {
      const people = Array.from({ length: 3 }, () => field.member())
      const going = repeating(async () => { await hasServer(field) }, 60_000, 10)
      return {
        cause: async () => {
          await field.panelKnobs({ wings: { '*': { installDelayMs: 125_000 } } })
          await Promise.all(people.map(claims))
        },
        mend: async () => {
          await field.panelKnobs({ wings: { '*': { installDelayMs: INSTALL_DELAY_MS } } })
          going.begin()
        },
        end: going.end,
      }
    },
  },
  {
    alert: 'DeadLetters', fault: 'something that is no event of ours is written on SERVERS', mitigation: 'it is discarded, with the reason',
    shows: /MESSAGE_INVALID.*(?=  RUNBOOK)/,
    scene: async ({ system, follow }) => ({
      cause: async () => { await publish(system, `servers.${randomUUID()}.ready`, 'this is no event') },
      mend: async () => {
        for (const [, sequence] of (await follow('scripts/dead-letters list')).matchAll(/^ *(\d+)\b/gm)) await follow(`scripts/dead-letters discard ${sequence} --why 'a drill'`)
      },
    }),
  },
]
