import type { Static, TObject, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { readSecretFile } from './secret-file.ts'

/**
 * Reads a service's configuration from `env` by its schema and freezes it. Absent and empty are the same. `NAME_FILE` gives the path of a
 * file that holds the value of `NAME`; secret-file.ts says which files are refused.
 * Throws one error that names every problem and shows no value.
 */
export function loadConfig<Schema extends TObject> (schema: Schema, env: Readonly<Record<string, string | undefined>>): Readonly<Static<Schema>> {
  const problems: string[] = []
  const given: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(schema.properties)) {
    const text = textOf(name, env, problems)
    // An absent variable must stay absent: Value.Convert (typebox 1.4.3) would make undefined or '' into a valid 0, '' or false.
    if (text !== undefined) given[name] = converted(property, text)
  }
  const candidate = Value.Default(schema, given)
  if (!Value.Check(schema, candidate)) {
    for (const error of Value.Errors(schema, candidate)) {
      const missing = error.keyword === 'required' ? (error.params as { requiredProperties?: string[] }).requiredProperties ?? [] : []
      // Of a file that was refused the reason has been said.
      if (missing.length > 0) problems.push(...missing.filter((name) => !env[`${name}_FILE`]).map((name) => `${name} is missing`))
      else problems.push(`${error.instancePath.slice(1)} ${error.message}`)
    }
  }
  if (problems.length > 0) throw new Error(`invalid configuration\n  ${[...new Set(problems)].join('\n  ')}`)
  return Object.freeze(candidate as Static<Schema>)
}

/** Integers are converted only when the text is one: Value.Convert truncates '1.7' and reads '' as 0. */
function converted (property: TSchema, text: string): unknown {
  const type = (property as { type?: string }).type
  if (type === 'integer') return /^-?\d+$/.test(text) ? Number(text) : text
  if (type === 'number') return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  return text
}

function textOf (name: string, env: Readonly<Record<string, string | undefined>>, problems: string[]): string | undefined {
  const path = env[`${name}_FILE`]
  if (!path) return env[name] || undefined
  if (env[name]) problems.push(`${name} and ${name}_FILE are both set`)
  const read = readSecretFile(path)
  if ('text' in read) return read.text
  problems.push(`${name}_FILE ${read.problem}`)
  return undefined
}
