// The net under the rule that no log line holds a number or a secret: whatever is named like a secret is cut out, however deep it lies, and what
// looks like a phone number, a JID, a LID, a key or a sealed text is masked wherever it stands. The rule is to choose what is logged.

const SECRET_FIELDS = new Set([
  'password', 'wa_jid', 'waJid', 'wa_number_e164', 'sealed_password', 'authorization', 'secret', 'token', 'key', 'jid', 'lid', 'phone', 'headers', 'body', 'data', 'creds', 'privKey', 'rootKey', 'private', 'cookie',
])
const REDACTED = '[redacted]'
const NUMBER = '[number]'
/** The least digits that are taken for a number. A bare integer in a field of its own is one, too; times are written as ISO 8601. */
const NUMBER_MIN = 1e8

/** UUIDs end in twelve digits now and then, and the id of a message or cause in a time: what stands before them tells. */
const NOT_IN_AN_ID = '(?<![0-9A-Za-z]|[0-9a-f]{4}-|-d\\d{1,6}[-:])'
const PATTERNS: ReadonlyArray<readonly [RegExp, string]> = [
  [/\+?\d{6,17}(:\d+)?@(s\.whatsapp\.net|c\.us|lid)/g, NUMBER],
  [/pt(la|lc)_[A-Za-z0-9]{8,}/g, '[panel-key]'],
  [/\bS[UAO][A-Z2-7]{56}\b/g, '[nkey]'],
  [/eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_.-]{20,}/g, '[sealed]'],
  [new RegExp(`${NOT_IN_AN_ID}\\+?\\d{9,17}(?![0-9A-Za-z])`, 'g'), NUMBER],
  [/\+\d{8,17}/g, NUMBER],
  // As people write it.
  [/(?<![\w.-])(\+\d{1,3}|0\d{2,4})([ .()-]{1,2}\d{2,5}){2,4}(?!\w)/g, NUMBER],
]

export const maskedText = (text: string): string => PATTERNS.reduce((masked, [pattern, mask]) => masked.replace(pattern, mask), text)

/** One of these fits whatever would be masked; what is escaped could hide it. One by one they take a fifth of the time that they take as one pattern. */
const SUSPICIONS: readonly RegExp[] = [
  /[\\@]/, /\d{9}/, /\+\d/, /0(?<![\w.-]0)\d{2,4}[ .()-]/, /pt(?:la|lc)_/, /S[UAO][A-Z2-7]{56}/, /eyJ/, new RegExp(`"(?:${[...SECRET_FIELDS].join('|')})":`),
]

/** A line of JSON. Most lines have nothing suspicious in them, and are not taken apart. */
export function maskedLine (line: string): string {
  if (!SUSPICIONS.some((suspicion) => suspicion.test(line))) return line
  try {
    return `${JSON.stringify(masked(JSON.parse(line)))}\n`
  } catch {
    return maskedText(line)
  }
}

function masked (value: unknown): unknown {
  if (typeof value === 'string') return maskedText(value)
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) >= NUMBER_MIN ? NUMBER : value
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [maskedText(name), SECRET_FIELDS.has(name) ? REDACTED : masked(inner)]))
}
