// Where a claim stands, what it waits for, and what an operator can do about it. Pure.
import { runbookAnchor } from '../../contracts/events/dead-letters.ts'
import type { ClaimView } from '../../contracts/requests.ts'
import { distanceText, momentText, spanText } from '../operating/times.ts'
import type { Told } from './told.ts'
import { REASON_WORDS, text } from './words.ts'

export interface Known {
  readonly view: ClaimView
  readonly story: readonly Told[]
  /** The member's newest claim, where it is another one. */
  readonly newerClaim: string | undefined
  /** Undefined where the reaper does not answer. */
  readonly brakeIsOn: boolean | undefined
  /** What keeps the provisioner from going on, since when (epoch ms). */
  readonly trouble: { readonly code: string, readonly since: number } | undefined
  /** Epoch milliseconds, by NATS's clock. */
  readonly now: number
}

export interface Standing {
  readonly now: string
  /** Undefined: it waits for nothing. */
  readonly waitsFor: string | undefined
  readonly can: readonly string[]
}

const STEP_LONG_MS = 20 * 60_000
const DELETING_LONG_MS = 15 * 60_000
const MESSAGE_LONG_MS = 10 * 60_000

const WAITS: Readonly<Record<string, string>> = {
  queued: 'the provisioner, to begin', account: 'the panel, to make the account', port: 'a free port', create: 'the panel, to make the server', install: 'the panel, to install the server', probe: 'the server, to answer at its port',
}

export function standingOf (known: Known): Standing {
  const { now, waitsFor, can } = byStatus(known)
  const letters = known.story.filter(({ event }) => event === 'dead_letter')
  return {
    now: known.newerClaim === undefined ? now : `${now}; the member has a newer claim, ${known.newerClaim}`,
    waitsFor: letters.length === 0 ? waitsFor : [waitsFor, `a person: ${letters.length === 1 ? 'a dead letter is' : `${letters.length} dead letters are`} about it`].filter((words) => words !== undefined).join('; '),
    can: [...letters.map(({ sequence, data }) => `scripts/klaim dead-letters show ${sequence}   (${text(data, 'runbook', 'who wrote it?')})`), ...can],
  }
}

function byStatus ({ view, story, brakeIsOn, trouble, now }: Known): Standing {
  const { claim_id: claim, status, updated_at: updatedAt, failure_code: code } = view
  const klaim = (words: string): string => `scripts/klaim ${words} --why '…'`
  switch (status) {
    case 'creating': return creating({ view, story, trouble, now })
    case 'active': {
      const active = `active since ${momentText(updatedAt)}, on server ${view.server_id ?? '?'}`
      const login = loginOf(story)
      const send = klaim(`send-login ${claim}`)
      if (login?.event === 'message.undeliverable') return { now: `${active}; its login did not arrive: ${text(login.data, 'code')}`, waitsFor: 'the member, to ask for a login', can: [`${send}   (${runbookAnchor(text(login.data, 'code'))})`, 'or the member writes SANDI to the bot'] }
      if (login?.event === 'message.outbound') return { now: active, waitsFor: `the bot, to hand the login to WhatsApp${isLong(now - login.at.getTime(), MESSAGE_LONG_MS)}`, can: ['scripts/klaim roster   (is the bot connected?)', send] }
      return { now: active, waitsFor: undefined, can: [send, klaim(`delete ${claim}`)] }
    }
    case 'deleting': return leaving({ view, story, brakeIsOn, now })
    case 'failed': {
      const failed = code === undefined ? 'failed' : `failed: ${code} (${runbookAnchor(code)})`
      return { now: failed, waitsFor: 'the member, who may claim again', can: [klaim(`retry ${claim}`)] }
    }
    case 'deleted': return { now: `over: deleted ${distanceText(Date.parse(updatedAt), now)}`, waitsFor: undefined, can: [`scripts/erase ${claim}   (if the member asks to be forgotten)`] }
    default: return status satisfies never
  }
}

function creating ({ view, story, trouble, now }: Pick<Known, 'view' | 'story' | 'trouble' | 'now'>): Standing {
  const { claim_id: claim, created_at: createdAt, deletion_scheduled_at: due } = view
  const progress = story.findLast(({ event }) => event === 'server.progressed')
  const step = text(progress?.data, 'step', 'queued')
  const stepMs = now - (progress?.at.getTime() ?? Date.parse(createdAt))
  return {
    now: `being made for ${spanText(now - Date.parse(createdAt))}, at the step ${step} for ${spanText(stepMs)}${due === null ? '' : `; the member left meanwhile, so it goes once it is ready, not before ${momentText(due)}`}`,
    waitsFor: trouble === undefined ? `${WAITS[step] ?? step}${isLong(stepMs, STEP_LONG_MS)}` : `${trouble.code} to be over, for ${spanText(now - trouble.since)} now`,
    can: [
      ...(trouble === undefined ? stepMs > STEP_LONG_MS ? ['look at the log of the provisioner   (RUNBOOK.md#alert-claims-stuck)'] : [] : [`put right what ${trouble.code} says; it goes on by itself   (RUNBOOK.md, “Codes”)`]),
      `scripts/klaim delete ${claim} --why '…'   (once it is ready)`,
    ],
  }
}

function leaving ({ view, story, brakeIsOn, now }: Pick<Known, 'view' | 'story' | 'brakeIsOn' | 'now'>): Standing {
  const { claim_id: claim, deletion_scheduled_at: due, deletion_started: isStarted, deletion_held_from: heldFrom } = view
  if (isStarted) {
    const started = story.findLast(({ event }) => event === 'claim.deletion_started')
    const ms = now - (started?.at.getTime() ?? Date.parse(view.updated_at))
    return { now: `being deleted for ${spanText(ms)}`, waitsFor: `the provisioner, to have the panel delete it${isLong(ms, DELETING_LONG_MS)}`, can: [ms > DELETING_LONG_MS ? 'look at panel and provisioner   (RUNBOOK.md#alert-panel-down)' : 'nothing: there is no way back'] }
  }
  const at = due === null ? now : Date.parse(due)
  const keep = [`scripts/klaim hold ${claim} --hours 24 --why '…'`, `scripts/klaim extend ${claim} --hours 4 --why '…'`]
  const release = [`scripts/klaim release ${claim} --why '…'`]
  if (heldFrom !== undefined && at > now) return { now: `to be deleted, held by an operator until ${momentText(new Date(at))} (it was due ${momentText(heldFrom)})`, waitsFor: 'that time, a release, or the member to come back', can: [...release, ...keep] }
  const due_ = `to be deleted, due ${distanceText(at, now)} (${momentText(new Date(at))})`
  if (at > now) return { now: due_, waitsFor: 'that time, or the member to come back', can: [...keep, `scripts/klaim delete ${claim} --why '…'   (now)`] }
  const postponed = story.findLast(({ event }) => event === 'deletion.postponed')
  const reason = text(postponed?.data, 'reason', '')
  if (brakeIsOn || (brakeIsOn === undefined && reason === 'brake')) return { now: due_, waitsFor: 'the brake to be released', can: ['scripts/klaim brake', `scripts/klaim release-brake --why '…'   (RUNBOOK.md#alert-brake-tripped)`, ...keep] }
  return {
    now: due_, waitsFor: `the reaper, to look whether the member is in the group${reason in REASON_WORDS ? `; at its last look: ${REASON_WORDS[reason]}` : ''}`,
    can: ['scripts/klaim roster   (does the bot see the group?)', ...(now - at > DELETING_LONG_MS ? ['look at the log of the reaper   (RUNBOOK.md#alert-reaper-overdue)'] : []), ...keep],
  }
}

/** The newest word of the login. */
const loginOf = (story: readonly Told[]): Told | undefined => story.findLast(({ event, data }) => event.startsWith('message.') && data['kind'] === 'login')

const isLong = (ms: number, usual: number): string => ms > usual ? `, for ${spanText(ms)} now, which is long` : ''
