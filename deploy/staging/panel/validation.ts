/**
 * Laravel's validator, as much of it as the panel's rules use. Rules are written as on the panel's models
 * (`required|string|between:1,191`), so that they can be read beside them. Texts as in its language file.
 */
import { isFields } from './json.ts'
import type { Fields } from './json.ts'
import type { RuleFailure } from './errors.ts'

/** A rule that looks into a table. Laravel leaves these out once the field has failed. */
export interface TableRule { rule: 'unique' | 'exists', holds: (value: unknown) => boolean }

export interface FieldRules {
  field: string
  label?: string
  rules: string
  table?: TableRule
}

export function failuresOf (body: Fields, fields: readonly FieldRules[]): RuleFailure[] {
  return fields.flatMap(field => failuresOfField(body, field))
}

function failuresOfField (body: Fields, { field, label = field.replaceAll('_', ' '), rules, table }: FieldRules): RuleFailure[] {
  const parsed = rules.split('|').map(text => text.split(/:(.*)/s, 2) as [string, string?])
  const names = new Set(parsed.map(([name]) => name))
  const { isPresent, value } = lookUp(body, field)
  if (names.has('sometimes') && !isPresent) return []
  const failures: RuleFailure[] = []
  const fail = (rule: string, message: string) => failures.push({ field, rule, message })

  if (names.has('required') && isEmpty(value)) return [{ field, rule: 'required', message: `The ${label} field is required.` }]
  if (names.has('present') && !isPresent) return [{ field, rule: 'present', message: `The ${label} field must be present.` }]
  if (!isPresent || (value === null && names.has('nullable'))) return []

  const isNumeric = names.has('numeric') || names.has('integer')
  for (const [rule, parameters = ''] of parsed) {
    const message = check(rule, parameters, value, label, isNumeric)
    if (message !== undefined) fail(rule, message)
  }
  if (table !== undefined && failures.length === 0 && !table.holds(value)) {
    fail(table.rule, table.rule === 'unique' ? `The ${label} has already been taken.` : `The selected ${label} is invalid.`)
  }
  return failures
}

/** The text of the failure, or undefined if the rule holds. */
function check (rule: string, parameters: string, value: unknown, label: string, isNumeric: boolean): string | undefined {
  const limits = parameters.split(',').map(Number)
  const size = sizeOf(value, isNumeric)
  const unit = isNumeric ? '' : ' characters'
  switch (rule) {
    case 'string': return typeof value === 'string' ? undefined : `The ${label} must be a string.`
    case 'integer': return isInteger(value) ? undefined : `The ${label} must be an integer.`
    case 'numeric': return isNumber(value) ? undefined : `The ${label} must be a number.`
    case 'boolean': return isBoolean(value) ? undefined : `The ${label} field must be true or false.`
    case 'array': return isFields(value) ? undefined : `The ${label} must be an array.`
    case 'email': return isEmail(value) ? undefined : `The ${label} must be a valid email address.`
    case 'in': return parameters.split(',').includes(String(value)) ? undefined : `The selected ${label} is invalid.`
    case 'max': return size <= limits[0]! ? undefined : `The ${label} may not be greater than ${parameters}${unit}.`
    case 'min': return size >= limits[0]! ? undefined : `The ${label} must be at least ${parameters}${unit}.`
    case 'between':
      return size >= limits[0]! && size <= limits[1]! ? undefined : `The ${label} must be between ${limits[0]} and ${limits[1]}${unit}.`
    case 'regex': return matches(parameters, value) ? undefined : `The ${label} format is invalid.`
    case 'p_username':
      // The line break and the spaces are in the panel's own text.
      return /^[a-z0-9]([\w.-]+)[a-z0-9]$/.test(String(value).toLowerCase())
        ? undefined
        : `The ${label} must start and end with alpha-numeric characters and\n                contain only letters, numbers, dashes, underscores, and periods.`
    default: return undefined
  }
}

/** `limits.memory` is looked up in the nested body. */
export function lookUp (body: unknown, path: string): { isPresent: boolean, value: unknown } {
  let value = body
  for (const step of path.split('.')) {
    if (!isFields(value) || !Object.hasOwn(value, step)) return { isPresent: false, value: undefined }
    value = value[step]
  }
  return { isPresent: true, value }
}

export const isTrue = (value: unknown) => value === true || value === 1 || value === '1'

const isEmpty = (value: unknown) => value === undefined || value === null || value === '' || (isFields(value) && Object.keys(value).length === 0)
const isInteger = (value: unknown) => value === true || (typeof value === 'number' ? Number.isInteger(value) : typeof value === 'string' && /^\s*[-+]?(0|[1-9]\d*)\s*$/.test(value))
const isNumber = (value: unknown) => typeof value === 'number' || (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value)))
const isBoolean = (value: unknown) => [true, false, 0, 1, '0', '1'].includes(value as boolean)

// RFC syntax only: neither a dot in the domain nor a DNS record is asked for.
const isEmail = (value: unknown) => typeof value === 'string' && /^[^\s@"(),:;<>[\\\]]{1,64}@[\p{L}\d]([\p{L}\d.-]*[\p{L}\d])?$/u.test(value) && !/(^|@)\.|\.\.|\.@/.test(value)

function sizeOf (value: unknown, isNumeric: boolean): number {
  if (isNumeric && isNumber(value)) return Number(value)
  if (isFields(value)) return Object.keys(value).length
  return Array.from(String(value)).length
}

/** A PHP pattern with its delimiters, e.g. `/^\d+$/i`. */
function matches (pattern: string, value: unknown): boolean {
  const [, source, flags] = /^\/(.*)\/([a-z]*)$/s.exec(pattern) ?? []
  if (source === undefined || (typeof value !== 'string' && typeof value !== 'number')) return false
  return new RegExp(source, flags?.replaceAll(/[^ims]/g, '')).test(String(value))
}
