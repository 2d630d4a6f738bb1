// So many members within one minute (MEMBERS; 50 is what the objectives promise).
import { claim, thresholds as ofClaims } from './claims.js'

const MEMBERS = Number(__ENV.MEMBERS)

export const options = {
  scenarios: {
    spike: { executor: 'constant-arrival-rate', exec: 'visit', rate: MEMBERS, timeUnit: '1m', duration: '1m', preAllocatedVUs: Math.min(MEMBERS, 600), maxVUs: Math.min(MEMBERS, 600) + 50, gracefulStop: '15m' },
  },
  // More than the panel's limit lets through in the time that is promised is a queue: then nothing may be refused or fail, and the wait is the panel's.
  thresholds: MEMBERS <= 50 ? ofClaims : { ...ofClaims, klaim_form_to_active: ['p(95)<600000'] },
}
export const visit = claim
