// scripts/klaim: all that an operator asks of Klaim, in one command. Each is a request that a service answers, or another script.
import { canary } from './canary/canary.ts'
import { deadLetters } from './dead-letters.ts'
import { erase } from './erase.ts'
import { audit } from './operating/audit.ts'
import { CHANGES, login } from './operating/changes.ts'
import { list, show } from './operating/claims.ts'
import { brake, close, open, releaseBrake, roster, setBrakeOn } from './operating/doors.ts'
import { runScript, type Elsewhere, type Program } from './operating/program.ts'
import { why } from './story/why.ts'

const drift: Elsewhere = { name: 'drift', summary: 'where ledger, panel and group disagree, and a confirmed plan that mends it', load: async () => (await import('./drift.ts')).drift }
const doctor: Elsewhere = { name: 'doctor', summary: 'whether all is well for going live', load: async () => (await import('./doctor.ts')).doctor }

export const klaim: Program = {
  name: 'klaim', summary: 'looks at Klaim and has it do what an operator may have done',
  details: [
    'NATS_URL and NATS_NKEY_SEED_FILE=/etc/klaim/nats_operator.nk say where; NATS_CA_FILE where NATS speaks TLS.',
    'What changes something wants --why, and takes --dry-run; who asked for what and why stays on OPERATIONS for a year (audit). --json prints an object a line.',
    'No phone number is shown but where --reveal is said, and none is taken but on the terminal.',
    'Exit code: 0 done, or so already; 1 refused or no go; 64 called wrongly; 69 NATS or a service did not answer. dead-letters, drift and erase have a 2 besides.',
  ],
  commands: [list, show, why, ...CHANGES, login, brake, setBrakeOn, releaseBrake, close, open, roster, audit, deadLetters, drift, doctor, canary, erase],
}

if (import.meta.main) await runScript('scripts/klaim', klaim)
