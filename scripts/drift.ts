// scripts/drift: where ledger, panel and group disagree (plan), and a confirmed plan carried out (apply).
import type { Bus } from '../services/common/bus.ts'
import { carryOut, type Outcome } from './drifts/apply.ts'
import { lookEverywhere, Settings } from './drifts/look.ts'
import { planOf, type Plan, type Step } from './drifts/plan.ts'
import { asOperator, settingsOf } from './operating/operator.ts'
import { by, json, matching, required, why } from './operating/options.ts'
import { command, EXIT, runScript, type Call, type Program } from './operating/program.ts'

/** `found`, `left`: something is still to be done. `changed`: the plan is not the one that was confirmed, and nothing was done. */
const ENDS = { agreed: EXIT.done, found: EXIT.no, left: EXIT.no, changed: 2 } as const
const UNSURE = { unsure: 'they could not be compared.' }

async function onPlan (call: Pick<Call, 'env' | 'tell'>, work: (bus: Bus, plan: Plan) => Promise<number>): Promise<number> {
  const settings = settingsOf(Settings, call.env)
  return await asOperator(call, async (bus) => await work(bus, planOf(await lookEverywhere(bus, settings))), UNSURE)
}

function shown (call: Pick<Call, 'tell'>, { steps, hash }: Plan): number {
  for (const step of steps) call.tell(objectOf(step), lineOf(step))
  call.tell({ plan: hash, steps: steps.length }, steps.length === 0 ? 'Ledger, panel and group agree.' : `Plan ${hash}`)
  return steps.length === 0 ? ENDS.agreed : ENDS.found
}

const objectOf = ({ finding: { kind, memberId, claimId, serverId, userId }, action }: Step, result?: Outcome): Record<string, unknown> =>
  ({ kind, member_id: memberId, claim_id: claimId ?? null, server_id: serverId ?? null, user_id: userId ?? null, step: action, ...result })

function lineOf ({ finding: { kind, memberId, claimId, serverId, userId }, action }: Step, result?: Outcome): string {
  const came = result === undefined ? '' : `  ${result.outcome}${result.outcome === 'left' ? ` ${result.code}` : ''}`
  return `${kind}  member ${memberId}  claim ${claimId ?? '-'}  server ${serverId ?? '-'}  account ${userId ?? '-'}  step ${action}${came}`
}

const plan = command({
  name: 'plan', summary: 'where they disagree, and which step mends each; changes nothing', options: json, exits: { [ENDS.found]: 'they disagree' },
  run: async (call) => await onPlan(call, async (_, plan) => shown(call, plan)),
})

const apply = command({
  name: 'apply', summary: 'carries out exactly the plan that is confirmed, or nothing where it is another by now',
  options: { confirm: required(matching('<hash>', 'the hash of a plan: 64 digits and letters from a to f', /^[0-9a-f]{64}$/), 'the hash of the plan, as `plan` says it'), ...why(required), ...by, ...json },
  exits: { [ENDS.left]: 'steps are left', [ENDS.changed]: 'the plan is another, and nothing was done' },
  run: async (call) => await onPlan(call, async (bus, plan) => {
    const { options: { confirm: hash, why, by = call.login } } = call
    if (plan.hash !== hash) {
      call.tell({ code: 'PLAN_CHANGED' }, 'PLAN_CHANGED: nothing was done. This is what there is to do now:')
      shown(call, plan)
      return ENDS.changed
    }
    const count = { done: 0, already: 0, left: 0 }
    for await (const { step, result } of carryOut(bus, plan.steps, { by, why })) {
      count[result.outcome]++
      call.tell(objectOf(step, result), lineOf(step, result))
    }
    call.tell({ plan: hash, ...count }, `${count.done} done, ${count.already} already, ${count.left} left`)
    return count.left === 0 ? EXIT.done : ENDS.left
  }),
})

export const drift: Program = { name: 'drift', summary: 'where ledger, panel and group disagree, and a confirmed plan that mends it', commands: [plan, apply] }

if (import.meta.main) await runScript('scripts/drift', drift)
