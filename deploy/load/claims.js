// What a visitor does, for k6: fills in the form from an address of their own, and looks at the claim's page until the server is there.
// scripts/load starts the whole system, sets GATEWAY_URL, MEMBERS and FIRST, and looks at the end whether everything is as it must be.
import exec from 'k6/execution'
import http from 'k6/http'
import { sleep } from 'k6'
import { Counter, Trend } from 'k6/metrics'

const GATEWAY_URL = __ENV.GATEWAY_URL
const MEMBERS = Number(__ENV.MEMBERS)
const FIRST = Number(__ENV.FIRST || 1)
const LOOK_EVERY_S = 1
const PATIENCE_S = Number(__ENV.PATIENCE_S || 600)

/** Form to 202, and form to active: what the objectives are about (deploy/prometheus/rules/slo.yml). */
const acceptedMs = new Trend('klaim_form_to_accepted', true)
const activeMs = new Trend('klaim_form_to_active', true)
const refused = new Counter('klaim_refused')
const failed = new Counter('klaim_failed')

export const thresholds = {
  klaim_form_to_active: ['p(95)<120000', 'p(99)<180000'],
  klaim_refused: ['count==0'],
  klaim_failed: ['count==0'],
  http_req_failed: ['rate==0'],
}

export function claim () {
  const member = FIRST + exec.scenario.iterationInTest
  if (member >= FIRST + MEMBERS) return
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': `10.${member >> 16 & 255}.${member >> 8 & 255}.${member & 255}` }
  const began = Date.now()
  const answer = http.post(`${GATEWAY_URL}/api/claim`, JSON.stringify({ username: `user${String(member).padStart(5, '0')}`, wa_number_e164: `+62812${String(member).padStart(8, '0')}`, template: 'nodejs' }), { headers, tags: { name: 'claim' } })
  if (answer.status !== 202) {
    refused.add(1, { status: String(answer.status) })
    return
  }
  acceptedMs.add(Date.now() - began)
  const id = answer.json('claim_id')
  while (Date.now() - began < PATIENCE_S * 1000) {
    sleep(LOOK_EVERY_S)
    const status = http.get(`${GATEWAY_URL}/api/claim/${id}/status`, { headers, tags: { name: 'status' } }).json('status')
    if (status === 'active') {
      activeMs.add(Date.now() - began)
      return
    }
    if (status === 'failed') break
  }
  failed.add(1)
}
