// A steady trickle (PER_MINUTE) for as long as one likes (MINUTES), with people who only look at the form beside it.
import http from 'k6/http'
import { check } from 'k6'
import { claim, thresholds as ofClaims } from './claims.js'

const { PER_MINUTE = '10', MINUTES = '30' } = __ENV

export const options = {
  scenarios: {
    claims: { executor: 'constant-arrival-rate', exec: 'visit', rate: Number(PER_MINUTE), timeUnit: '1m', duration: `${MINUTES}m`, preAllocatedVUs: 50, maxVUs: 200, gracefulStop: '10m' },
    looks: { executor: 'constant-arrival-rate', exec: 'look', rate: 5, timeUnit: '1s', duration: `${MINUTES}m`, preAllocatedVUs: 10, maxVUs: 50 },
  },
  thresholds: { ...ofClaims, checks: ['rate==1'], 'http_req_duration{name:form}': ['p(99)<500'], 'http_req_duration{name:claim}': ['p(99)<1000'] },
}
export const visit = claim
export function look () {
  check(http.get(`${__ENV.GATEWAY_URL}/`, { tags: { name: 'form' } }), { 'the form is there': ({ status }) => status === 200 })
}
