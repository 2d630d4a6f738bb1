import type { Language } from '../../contracts/ids.ts'
import type { ClaimView } from '../../contracts/requests.ts'
import { wib, type Messages } from './phrases.ts'

/** After this a claim that is still being made is late, and the member is told that they need not wait. */
export const LATE_AFTER_MS = 180_000

export type News = Pick<ClaimView, 'status' | 'step' | 'failure_code' | 'deletion_scheduled_at' | 'deletion_started' | 'created_at'>

/** The newest news of a claim in one or two sentences: what the status page shows and what the bot answers. */
export function newsOf (messages: Messages, language: Language, claim: News, now: Date): string {
  const { status, step, failure_code, deletion_scheduled_at, deletion_started, created_at } = claim
  switch (status) {
    case 'creating':
      if (now.getTime() - Date.parse(created_at) >= LATE_AFTER_MS) return messages.say(language, 'statuses.late')
      return messages.say(language, step === undefined ? 'statuses.creating' : `steps.${step}`)
    case 'active': return messages.say(language, 'statuses.active')
    case 'failed': return messages.say(language, failure_code === undefined ? 'statuses.failed' : `failures.${failure_code}`)
    case 'deleting':
      if (deletion_started === true) return messages.say(language, 'statuses.deleting_now')
      if (deletion_scheduled_at === null) return messages.say(language, 'statuses.deleting')
      return messages.say(language, 'statuses.deleting_at', { time: wib(new Date(deletion_scheduled_at), language) })
    case 'deleted': return messages.say(language, 'statuses.deleted')
  }
}
