// Which claims there are, and how one stands.
import type { Static } from 'typebox'
import { CLAIM_STATUSES } from '../../contracts/codes.ts'
import { serverProgressed } from '../../contracts/events/servers.ts'
import { listClaims, type ClaimView } from '../../contracts/requests.ts'
import type { Bus } from '../../services/common/bus.ts'
import { asOperator } from './operator.ts'
import { flag, integer, json, matching, oneOf, optional, withDefault } from './options.ts'
import { command, EXIT } from './program.ts'
import { refused } from './refusals.ts'
import { momentText, spanText } from './times.ts'
import { claimOf, WHOM, WHOM_DETAILS, whomOf } from './whom.ts'

const PAGE_MAX = 200
const LISTED_MAX = 1_000
const CLAIM_ID = matching('<claim id>', 'a claim id', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)

const reveal = { reveal: flag('shows phone numbers and login names, too') }

/** Who it is, for those alone who asked for it. */
const NAMES: readonly string[] = ['wa_jid', 'username'] satisfies Array<keyof ClaimView>

/** As it may be shown. `age_s`: since it was asked for. */
function objectOf (view: ClaimView, { now, isRevealed }: { now: number, isRevealed: boolean }): Record<string, string | number | boolean | null> {
  const fields = Object.entries(view).filter(([name]) => isRevealed || !NAMES.includes(name))
  return { ...Object.fromEntries(fields), age_s: Math.max(0, Math.round((now - Date.parse(view.created_at)) / 1_000)) }
}

const offerOf = ({ template, template_version: version }: ClaimView): string => template === undefined ? 'offer not known' : `${template} ${version}`

/** What there is to say of it beside its status. */
function whereOf ({ status, step, failure_code: code, deletion_scheduled_at: due, deletion_started: isStarted, deletion_held_from: held }: ClaimView): string {
  const goes = due === null ? '' : isStarted ? 'the panel deletes' : held === undefined ? `due ${momentText(due)}` : `held until ${momentText(due)}`
  switch (status) {
    case 'creating': return [`step ${step ?? 'queued'}`, goes].filter(Boolean).join(', ')
    case 'failed': return code ?? 'code not known'
    case 'deleting': return goes
    case 'active':
    case 'deleted': return ''
    default: return status satisfies never
  }
}

function lineOf (view: ClaimView, now: number, isRevealed: boolean): string {
  const name = isRevealed ? `  ${view.wa_jid.replace(/@.*$/, '')}  ${view.username ?? '-'}` : ''
  return `${view.claim_id}  ${view.status.padEnd(8)}  ${spanText(Math.max(0, now - Date.parse(view.created_at))).padStart(11)}  ${offerOf(view).padEnd(12)}  ${whereOf(view)}${name}`.trimEnd()
}

/** The newest step stands on SERVERS: the list of claim-store does not have it. */
async function withStep (bus: Pick<Bus, 'last'>, view: ClaimView): Promise<ClaimView> {
  if (view.status !== 'creating') return view
  const progress = await bus.last('SERVERS', `servers.${view.claim_id}.progressed`, [serverProgressed])
  return { ...view, step: progress ? (progress.event.data as Static<typeof serverProgressed.data>).step : 'queued' }
}

export const list = command({
  name: 'list', summary: 'claims with status, age, offer, and the step, code or time that goes with it; the newest of a page first',
  options: {
    status: optional(oneOf(CLAIM_STATUSES), 'only these'), limit: withDefault(integer(1, LISTED_MAX), 'at most so many; 50 where absent', 50),
    after: optional(CLAIM_ID, 'the next page: claims go by their ids, page by page'), ...reveal, ...json,
  },
  exits: {},
  run: async (call) => await asOperator(call, async (bus) => {
    const { options: { status, limit, after, reveal: isRevealed } } = call
    const found: ClaimView[] = []
    let next = after
    do {
      const page = await bus.request(listClaims, { ...(status === undefined ? {} : { status }), ...(next === undefined ? {} : { after: next }), limit: Math.min(PAGE_MAX, limit - found.length) })
      found.push(...page.claims)
      next = page.next
    } while (next !== undefined && found.length < limit)
    const now = bus.clock.now().getTime()
    const claims = await Promise.all(found.toSorted((one, other) => one.created_at < other.created_at ? 1 : -1).map(async (view) => await withStep(bus, view)))
    for (const view of claims) call.tell(objectOf(view, { now, isRevealed }), lineOf(view, now, isRevealed))
    if (claims.length === 0 && !call.options.json) call.print(`There are no ${status === undefined ? '' : `${status} `}claims.`)
    if (next !== undefined) call.tell({ next }, `There are more: --after ${next}`)
    return EXIT.done
  }),
})

export const show = command({
  name: 'show', summary: 'all that is known of one claim', words: WHOM, details: WHOM_DETAILS, options: { ...reveal, ...json }, exits: { [EXIT.no]: 'there is no such claim' },
  run: async (call) => {
    const whom = await whomOf(call.words)
    return await asOperator(call, async (bus) => {
      const view = await claimOf(bus, whom)
      if (!view) return refused(call, 'NOT_FOUND')
      const now = bus.clock.now().getTime()
      const object = objectOf(view, { now, isRevealed: call.options.reveal })
      const [width, { age_s: _, ...fields }] = [Math.max(...Object.keys(object).map(({ length }) => length)), object]
      call.tell(object, lineOf(view, now, false), ...Object.entries(fields).map(([name, value]) => `  ${name.padEnd(width)}  ${value ?? '-'}`))
      return EXIT.done
    })
  },
})
