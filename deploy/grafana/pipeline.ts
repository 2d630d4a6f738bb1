// A claim's way from the form to the end of its server, for whoever is on call.
import type { Description } from './dashboard.ts'
import { bars, graph, stat, type Colours } from './grafana.ts'
import { around, orUnknown, perSecond, quantile, somethingNewOf, somethingOf } from './queries.ts'

/** Claims are few: a quantile needs an hour of them. */
const HOUR = { window: '1h' }
const ofConsumer = '{consumer=~"$consumer"}'
const promised: Colours = ['green', [120, 'orange'], [180, 'red']]

export const pipeline: Description = {
  name: 'pipeline',
  title: 'Klaim: pipeline',
  description: 'From the form to the login, and from leaving the group to the end of the server.',
  from: 'now-6h',
  timezone: 'browser',
  variables: [{ name: 'consumer', label: 'Reader', of: ['klaim_consumer_pending', 'consumer'] }],
  rows: [
    { title: 'Claims', panels: [
      graph([
        { expr: around('klaim_claims_requested_total'), legend: 'accepted' }, { expr: around('klaim_claims_active_total'), legend: 'active' },
        { expr: around('klaim_claims_failed_total'), legend: 'failed' }, { expr: around('klaim_claims_deleted_total'), legend: 'deleted' },
      ], { title: 'What becomes of claims', unit: 'none', decimals: 0, step: '5m', form: 'bars', description: 'Each decision of the ledger about a claim, once. What is accepted should soon be active; what failed told its member so.' }),
      graph([0.5, 0.95, 0.99].map((share) => ({ expr: quantile(share, 'klaim_claim_lead_seconds', HOUR), legend: `${share * 100} of 100` })), {
        title: 'From the form to the login', unit: 's', colours: promised, description: 'How long members waited for the message with their login, over the hour before. Promised are 120 s for 95 of 100 and 180 s for 99. Empty where nobody claimed.',
      }),
      graph([0.5, 0.95].map((share) => ({ expr: quantile(share, 'klaim_claim_active_seconds', HOUR), legend: `${share * 100} of 100` })), {
        title: 'From the form to the server', unit: 's', colours: promised, description: 'The same until the server answered. If this is short and the login is late, look at the WhatsApp dashboard.',
      }),
      graph([{ expr: 'max by (status) (klaim_claims{status=~"creating|deleting"})', legend: '{{status}}' }], { title: 'Claims under way', unit: 'none', decimals: 0, description: 'Claims that are being made, and those that wait for their deletion or are being deleted.' }),
      graph([{ expr: 'max(klaim_claim_creating_oldest_seconds)', legend: 'oldest' }], {
        title: 'Oldest claim that is being made', unit: 's', colours: ['green', [120, 'orange'], [1200, 'red']], runbook: 'looking', description: 'Above two minutes it is late, above twenty something is in its way: the panel, a node, or an install that never reports back.',
      }),
      bars({ expr: somethingOf('klaim_claims_failed_total', 'code', 'none'), legend: '{{code}}' }, { title: 'Why claims failed', unit: 'none', decimals: 0, colours: ['green', [1, 'orange'], [5, 'red']], runbook: 'why-a-claim-failed-failure_code', description: 'Failures in the time that is shown, by code. The runbook has a line for each code.' }),
    ] },
    { title: 'The form', panels: [
      bars({ expr: somethingOf('klaim_claim_attempts_total', 'result', 'none'), legend: '{{result}}' }, { title: 'Attempts to claim', unit: 'none', decimals: 0, runbook: 'what-visitors-are-told-http', description: 'What visitors were answered in the time that is shown. BOT_OFFLINE, UNAVAILABLE and INTERNAL are our fault; the others are theirs.' }),
      graph([{ expr: perSecond('klaim_http_request_seconds_count', 'status'), legend: '{{status}}' }], { title: 'Answers of the gateway', unit: 'reqps', form: 'stacked', description: 'HTTP answers by status. 5xx are ours; many 429 are people behind one address, or somebody who tries numbers.' }),
      graph([0.5, 0.99].map((share) => ({ expr: quantile(share, 'klaim_http_request_seconds', { matching: '{route=~"/api/.*"}' }), legend: `${share * 100} of 100` })), { title: 'Time to answer', unit: 's', colours: ['green', [1, 'orange'], [3, 'red']], description: 'Of the API. A claim asks the bot and the ledger before it is answered, so it is as slow as they are.' }),
      graph([{ expr: around('klaim_limit_counts_total', 'how'), legend: '{{how}}' }], { title: 'How limits are counted', unit: 'none', decimals: 0, runbook: 'what-visitors-are-told-http', description: 'Shared: over all gateways. Alone: NATS does not answer a gateway, which then counts for itself and lets more through.' }),
      graph([{ expr: around('klaim_webhook_notices_total', 'result'), legend: '{{result}}' }], { title: 'Notices of an outside bot', unit: 'none', decimals: 0, form: 'bars', step: '5m', runbook: 'what-visitors-are-told-http', description: 'Who came and went, as another bot told it by webhook. All 0 where there is none.' }),
    ] },
    { title: 'The canary, where one is started', panels: [
      stat('time() - max(klaim_canary_last_success_timestamp_seconds > 0)', { title: 'Came through', unit: 's', decimals: 0, none: 'not yet, or there is none', runbook: 'alert-canary-stale', description: 'How long ago the canary last claimed, got its server and login, and had it deleted. It does so every time after klaim_canary_every_seconds.' }),
      stat('histogram_quantile(0.95, sum by (le) (increase(klaim_canary_claim_seconds_bucket[$__range])))', { title: 'Its wait', unit: 's', none: 'none came through', colours: promised, description: 'How long 95 of 100 of its runs in the time that is shown waited for the login: what a member would have waited, also when nobody claims.' }),
      bars({ expr: somethingOf('klaim_canary_runs_total', 'result', 'none'), legend: '{{result}}' }, { title: 'Its runs', unit: 'none', decimals: 0, runbook: 'what-the-canary-says', description: 'What came of its runs in the time that is shown: ok, CLAIMS_CLOSED or BRAKE_ON where it was held back on purpose, or the code of what failed.' }),
    ] },
    { title: 'The panel', panels: [
      stat(orUnknown('max(klaim_panel_up)'), { title: 'Panel', unit: 'none', words: { 1: { text: 'takes calls', colour: 'green' }, 0: { text: 'does not', colour: 'red' }, '-1': { text: 'not known', colour: 'orange' } }, runbook: 'why-a-claim-failed-failure_code', description: 'Whether the panel takes our calls and our key. Claims wait for it six hours.' }),
      stat('max(klaim_installs_pending)', { title: 'Installs waited for', unit: 'none', decimals: 0, description: 'Claims whose server is being installed right now. They cost the panel one question for all.' }),
      stat('sum(max by (node) (klaim_panel_free_allocations))', { title: 'Free ports', unit: 'none', decimals: 0, colours: ['red', [5, 'orange'], [20, 'green']], runbook: 'code-no-free-port', description: 'How many more servers fit on the nodes of the templates. At 0 claims fail with NO_FREE_PORT.' }),
      stat('min(klaim_panel_budget_remaining)', { title: 'Calls left', unit: 'none', decimals: 0, none: 'not known', colours: ['red', [1, 'orange'], [48, 'green']], description: 'Calls that the panel allows in this minute, as it said last. Below a fifth new servers wait, so that deletions get through.' }),
      stat('time() - max(klaim_drift_look_timestamp_seconds > 0)', { title: 'Ledger and panel compared', unit: 's', decimals: 0, none: 'not yet', colours: ['green', [3600, 'orange']], runbook: 'doing', description: 'How long ago. They are compared every quarter of an hour by default.' }),
      stat('sum(max by (kind) (klaim_drift_findings))', { title: 'Disagreements', unit: 'none', decimals: 0, none: 'not compared yet', colours: ['green', [1, 'orange']], runbook: 'doing', description: 'Where ledger and panel do not agree, at the last look. scripts/drift plan lists them; nothing is repaired by itself.' }),
      graph([{ expr: quantile(0.9, 'klaim_provisioning_step_seconds', { matching: '{result="done"}', by: 'step', ...HOUR }), legend: '{{step}}' }], { title: 'Steps of a claim', unit: 's', description: 'How long nine of ten took over the hour before, by step. Installing takes longest; cleanup is a deletion.' }),
      bars({ expr: somethingNewOf('klaim_provisioning_step_seconds_count{result!="done"}', 'step, result', 'none'), legend: '{{step}} {{result}}' }, { title: 'Steps that did not work', unit: 'none', decimals: 0, colours: ['green', [1, 'orange']], runbook: 'why-a-claim-failed-failure_code', description: 'Tries that ended with a code, in the time that is shown. Most are tried again; a claim fails only when no try is left.' }),
      graph([{ expr: perSecond('klaim_panel_calls_total', 'status'), legend: '{{status}}' }], { title: 'Calls to the panel', unit: 'reqps', form: 'stacked', description: 'By what came back. 429: too many; lost: no answer, so it is looked whether it happened; unreachable: the panel is away.' }),
      graph([0.5, 0.95].map((share) => ({ expr: quantile(share, 'klaim_panel_call_seconds'), legend: `${share * 100} of 100` })), { title: 'Time until the panel answers', unit: 's', description: 'Making and deleting a server waits for its node, so these take longest.' }),
      graph([{ expr: 'min(klaim_panel_budget_remaining)', legend: 'left' }, { expr: around('klaim_panel_rate_limited_total'), legend: 'refused (429)' }], { title: 'Calls that the panel allows', unit: 'none', decimals: 0, description: 'What is left of this minute. A refusal in spite of it: somebody else uses keys of the same administrator.' }),
      graph([{ expr: 'max by (node) (klaim_panel_free_allocations)', legend: 'node {{node}}' }], { title: 'Free ports by node', unit: 'none', decimals: 0, runbook: 'code-no-free-port', description: 'When each node was last read. A node that is not read keeps its value.' }),
    ] },
    { title: 'Deletions', panels: [
      stat(orUnknown('max(klaim_brake_on)'), { title: 'Brake', unit: 'none', words: { 0: { text: 'off', colour: 'green' }, 1: { text: 'on', colour: 'orange' }, '-1': { text: 'not known', colour: 'red' } }, runbook: 'first-is-data-at-risk', description: 'On: all deletions wait, for 24 hours or until it is released.' }),
      stat('max(klaim_deletions_pending)', { title: 'Scheduled', unit: 'none', decimals: 0, none: 'not known', description: 'Deletions that wait for their time.' }),
      stat('max(klaim_deletions_overdue_seconds)', { title: 'Most overdue', unit: 's', decimals: 0, none: 'not known', colours: ['green', [600, 'orange'], [1800, 'red']], runbook: 'looking', description: 'How late the latest one is. It is late while the brake is on, the roster is not known, or the pace holds it.' }),
      stat('time() - max(klaim_deletions_sweep_timestamp_seconds > 0)', { title: 'Last sweep', unit: 's', decimals: 0, none: 'not yet', colours: ['green', [120, 'orange'], [600, 'red']], description: 'How long ago the reaper last looked through all deletions.' }),
      stat('sum(max_over_time(klaim_deletions_of_present_total[$__range]))', { title: 'Of members who are there', unit: 'none', decimals: 0, none: 'not known', colours: ['green', [1, 'red']], runbook: 'first-is-data-at-risk', description: 'Deletions that began while the roster showed their member in the group. Never more than 0: otherwise put the brake on first.' }),
      stat('max(klaim_dead_letters)', { title: 'Dead letters', unit: 'none', decimals: 0, none: 'not known', colours: ['green', [1, 'red']], runbook: 'doing', description: 'Messages that could not be handled. Mend the reason, then scripts/dead-letters replay.' }),
      graph([
        { expr: around('klaim_deletions_scheduled_total'), legend: 'scheduled' }, { expr: around('klaim_deletions_cancelled_total'), legend: 'cancelled' }, { expr: around('klaim_claims_deleted_total'), legend: 'deleted' },
      ], { title: 'Departures, and what became of them', unit: 'none', decimals: 0, step: '5m', form: 'bars', description: 'Who leaves is scheduled, who comes back is cancelled. Many at once trip the brake.' }),
      bars({ expr: somethingOf('klaim_deletion_verdicts_total', 'verdict', 'none'), legend: '{{verdict}}' }, { title: 'Looks at due deletions', unit: 'none', decimals: 0, description: 'confirm: it may happen. refute: the member is there. drop: no longer the current one. wait: not due. The others say why it was put off.' }),
      bars({ expr: somethingOf('klaim_deletions_witnessed_total', 'membership', 'none'), legend: '{{membership}}' }, { title: 'Where their members were', unit: 'none', decimals: 0, runbook: 'first-is-data-at-risk', description: 'What the roster said of the member when the ledger started a deletion, seen by the bot on its own. present must never show.' }),
    ] },
    { title: 'Between the services', panels: [
      graph([{ expr: `max by (consumer) (klaim_consumer_pending${ofConsumer})`, legend: '{{consumer}}' }], { title: 'Waiting', unit: 'none', decimals: 0, description: 'Messages that were not delivered to their reader yet. They wait in NATS for a service that is down or behind.' }),
      graph([{ expr: `max by (consumer) (klaim_consumer_ack_pending${ofConsumer})`, legend: '{{consumer}}' }], { title: 'In hand', unit: 'none', decimals: 0, description: 'Delivered and not done. A claim stays in the hands of provisioner-claims until its server answers.' }),
      graph([{ expr: `max by (consumer) (klaim_consumer_oldest_age_seconds${ofConsumer})`, legend: '{{consumer}}' }], { title: 'Oldest that is not done', unit: 's', colours: ['green', [900, 'red']], runbook: 'looking', description: 'How long it has waited. A quarter of an hour is too long for all but provisioner-claims.' }),
      graph([{ expr: `max by (consumer) (klaim_consumer_redelivered${ofConsumer})`, legend: '{{consumer}}' }], { title: 'Delivered again', unit: 'none', decimals: 0, description: 'Of those in hand. What fails is tried again with growing pauses; then it is a dead letter.' }),
      graph([{ expr: perSecond(`klaim_messages_total${ofConsumer}`, 'result'), legend: '{{result}}' }], { title: 'What became of messages', unit: 'mps', form: 'stacked', runbook: 'faults-in-logs-and-dead-letters', description: 'done; retried: it failed for now; handed_back: the service was stopping; dead: given up; replayed: a dead letter tried again.' }),
      graph([{ expr: quantile(0.95, 'klaim_message_handling_seconds', { matching: ofConsumer, by: 'consumer' }), legend: '{{consumer}}' }], { title: 'Time to handle one', unit: 's', description: 'For 95 of 100. bot-messages is as slow as the pace of sending.' }),
    ] },
  ],
}
