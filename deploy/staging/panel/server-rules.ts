/** What POST /servers asks of its body: StoreServerRequest and the Server model, in the order of the panel's answers. */
import { invalid } from './errors.ts'
import { isFields } from './json.ts'
import { sameText } from './collation.ts'
import { failuresOf } from './validation.ts'
import type { RuleFailure } from './errors.ts'
import type { Fields } from './json.ts'
import type { Egg, State } from './state.ts'
import type { FieldRules } from './validation.ts'

export const nameRules = { field: 'name', rules: 'required|string|max:191' }
export const descriptionRules = { field: 'description', rules: 'nullable|string' }

export const userRule = (state: State): FieldRules =>
  ({ field: 'user', rules: 'required|integer', table: { rule: 'exists', holds: value => state.users.has(Number(value)) } })

export const externalIdRule = (state: State, selfId?: number): FieldRules => ({
  field: 'external_id', rules: 'sometimes|nullable|string|between:1,191',
  table: { rule: 'unique', holds: value => state.serverBy(server => server.id !== selfId && sameText(server.externalId, String(value))) === undefined }
})

const isFree = (state: State) => (value: unknown) => state.allocations.get(Number(value))?.serverId === null

/** Throws the 422 with every failure of the request's own rules. */
export function validateRequest (state: State, body: Fields): void {
  const failures = [...failuresOf(body, [
    externalIdRule(state),
    nameRules,
    descriptionRules,
    userRule(state),
    { field: 'egg', rules: 'required', table: { rule: 'exists', holds: value => state.eggs.has(Number(value)) } },
    { field: 'docker_image', rules: 'required|string|max:191|regex:/^~?[\\w\\.\\/\\-:@ ]*$/' },
    { field: 'startup', rules: 'required|string' },
    { field: 'environment', rules: 'present|array' },
    { field: 'skip_scripts', rules: 'sometimes|boolean' },
    { field: 'oom_disabled', rules: 'sometimes|boolean' },
    { field: 'limits', rules: 'required|array' },
    { field: 'limits.memory', rules: 'required|numeric|min:0' },
    { field: 'limits.swap', rules: 'required|numeric|min:-1' },
    { field: 'limits.disk', rules: 'required|numeric|min:0' },
    { field: 'limits.io', rules: 'required|numeric|between:10,1000' },
    { field: 'limits.threads', rules: 'nullable|regex:/^[0-9-,]+$/' },
    { field: 'limits.cpu', rules: 'required|numeric|min:0' },
    { field: 'feature_limits', rules: 'required|array' },
    { field: 'feature_limits.databases', rules: 'present|nullable|integer|min:0' },
    { field: 'feature_limits.allocations', rules: 'sometimes|nullable|integer|min:0' },
    { field: 'feature_limits.backups', rules: 'present|nullable|integer|min:0' },
    ...isFields(body.deploy)
      ? []
      : [{ field: 'allocation.default', rules: 'required|integer', table: { rule: 'exists' as const, holds: isFree(state) } }],
    { field: 'start_on_completion', rules: 'sometimes|boolean' }
  ]), ...additionalFailures(state, body)]
  if (failures.length > 0) throw invalid(failures)
}

export function additionalOf (body: Fields): unknown[] {
  return isFields(body.allocation) && isFields(body.allocation.additional) ? Object.values(body.allocation.additional) : []
}

function additionalFailures (state: State, body: Fields): RuleFailure[] {
  return additionalOf(body).flatMap((value, index) => failuresOf({ [`allocation.additional.${index}`]: value }, []).concat(
    isFree(state)(value)
      ? []
      : [{ field: `allocation.additional.${index}`, rule: 'exists', message: `The selected allocation.additional.${index} is invalid.` }]))
}

/** Each egg variable against its own rules. Defaults are not filled in: what is left out is stored as an empty text. */
export function validateEnvironment (egg: Egg, environment: Fields): Record<string, string> {
  const present = Object.fromEntries(egg.variables.map(({ envVariable }) => [envVariable, environment[envVariable] ?? null]))
  const failures = egg.variables.flatMap(({ envVariable, name, rules }) =>
    failuresOf(present, [{ field: envVariable, label: `${name} variable`, rules }]).map(failure => ({ ...failure, field: `environment.${envVariable}` })))
  if (failures.length > 0) throw invalid(failures)
  return Object.fromEntries(Object.entries(present).map(([name, value]) => [name, stored(value)]))
}

function stored (value: unknown): string {
  if (value === null || value === false) return ''
  return value === true ? '1' : String(value as string | number)
}
