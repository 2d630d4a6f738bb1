// What Alertmanager tells its webhook (version 4 of its message), and what an admin is told of it by chat. Of all that stands in an alert the name,
// the severity and two annotations go on: they were written for a phone, and hold nobody's number.
import { Type, type Static } from 'typebox'
import { maskedText } from '../common/mask.ts'

const ALERTS_MAX = 100
/** In one message; a person who has read so many looks at Alertmanager. */
const TOLD_MAX = 8

const Alert = Type.Object({
  status: Type.Union([Type.Literal('firing'), Type.Literal('resolved')]),
  labels: Type.Object({ alertname: Type.String({ minLength: 1, maxLength: 100 }), severity: Type.Optional(Type.String({ maxLength: 20 })) }),
  annotations: Type.Object({ summary: Type.Optional(Type.String({ maxLength: 300 })), runbook_url: Type.Optional(Type.String({ maxLength: 200 })) }),
  startsAt: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT[\\d:.]{8,18}(Z|[+-]\\d\\d:\\d\\d)$' }),
  /** Of its labels. */
  fingerprint: Type.String({ pattern: '^[0-9a-f]{1,32}$' }),
})
export type Alert = Static<typeof Alert>

export const AlertNotice = Type.Object({
  version: Type.Literal('4'),
  alerts: Type.Array(Alert, { maxItems: ALERTS_MAX }),
  /** How many there are besides, beyond `max_alerts` of Alertmanager's configuration. */
  truncatedAlerts: Type.Optional(Type.Integer({ minimum: 0 })),
})
export type AlertNotice = Static<typeof AlertNotice>

/** Under which it stands in the bucket of what was sent, once admins were told: the same alert that fires anew has another beginning. */
export const keyOf = ({ fingerprint, startsAt }: Alert, status: Alert['status']): string => `alert.${fingerprint}-${Date.parse(startsAt)}-${status}`

/** `heldBack`: how many were not told before these, because it would have been too many messages. `more`: how many there are that are not named. */
export function textOf (alerts: readonly Alert[], { heldBack, more }: { heldBack: number, more: number }): string {
  const told = alerts.slice(0, TOLD_MAX).map(({ status, labels: { alertname, severity }, annotations: { summary, runbook_url: place } }) =>
    status === 'resolved' ? `🟢 ${alertname} is over.` : [`🔴 ${alertname}${severity === undefined ? '' : ` (${severity})`}`, summary, place].filter(Boolean).join('\n'))
  const left = alerts.length - told.length + more
  if (left > 0) told.push(`And ${left} more: look at Alertmanager.`)
  if (heldBack > 0) told.push(`${heldBack} before these were not told, because they came too fast.`)
  return maskedText(told.join('\n\n'))
}
