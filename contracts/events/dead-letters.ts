// DEAD_LETTERS: `dead.<original subject>`, the original body and headers kept as they were, with the reason in headers.
// A dead letter is a wrapped message rather than an event of its own, so that a replay is byte for byte the original.

/** Headers that a dead letter carries beside the original ones. */
export const DEAD_LETTER_HEADERS = {
  reason: 'Klaim-Dead-Reason',
  subject: 'Klaim-Dead-Subject',
  stream: 'Klaim-Dead-Stream',
  sequence: 'Klaim-Dead-Sequence',
  consumer: 'Klaim-Dead-Consumer',
  deliveries: 'Klaim-Dead-Deliveries',
  at: 'Klaim-Dead-At',
} as const

export const deadSubject = (subject: string): string => `dead.${subject}`

/** Where RUNBOOK.md explains a reason. */
export const runbookAnchor = (reason: string): string => `RUNBOOK.md#code-${reason.toLowerCase().replaceAll('_', '-')}`
