// SERVERS: what the provisioner did on the panel.
import { Type } from 'typebox'
import { FailureCode, Step } from '../codes.ts'
import { defineEvent } from '../define.ts'
import { ClaimId, DeleteJobId, MemberId } from '../ids.ts'
import { ServerFacts } from './claims.ts'

const claim = { claim_id: ClaimId, member_id: MemberId }
const provisioner = { version: 1, authors: ['provisioner'], stream: 'SERVERS' } as const

export const serverProgressed = defineEvent({
  ...provisioner, name: 'server.progressed', subject: 'servers.{claim_id}.progressed',
  summary: 'A claim reached the next step',
  data: Type.Object({ ...claim, step: Step, attempt: Type.Integer({ minimum: 1 }) }),
})

export const serverReady = defineEvent({
  ...provisioner, name: 'server.ready', subject: 'servers.{claim_id}.ready',
  summary: 'The server is installed and its port answered',
  data: Type.Object({ ...claim, ...ServerFacts.properties }),
})

export const serverFailed = defineEvent({
  ...provisioner, name: 'server.failed', subject: 'servers.{claim_id}.failed',
  summary: 'The server could not be made, and nothing of it is left on the panel',
  data: Type.Object({ ...claim, code: FailureCode, step: Step }),
})

export const serverDeleted = defineEvent({
  ...provisioner, name: 'server.deleted', subject: 'servers.{claim_id}.deleted',
  summary: 'The panel no longer has the server',
  data: Type.Object({ ...claim, delete_job_id: DeleteJobId, user_deleted: Type.Boolean() }),
})
