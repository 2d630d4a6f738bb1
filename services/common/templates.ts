// The offers: what config/templates.json says, checked, frozen and fingerprinted. The gateway shows them, the provisioner builds from them.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Type, type Static } from 'typebox'
import { PanelId, TemplateName, TemplateVersion } from '../../contracts/ids.ts'
import { validatorOf } from './envelope.ts'
import { permanent } from './fault.ts'

const Text = (maxLength: number) => Type.Object({ id: Type.String({ minLength: 1, maxLength }), en: Type.String({ minLength: 1, maxLength }) }, { additionalProperties: false })
const Port = Type.Integer({ minimum: 1, maximum: 65535 })
const VariableName = Type.String({ pattern: '^[A-Z_][A-Z0-9_]{0,63}$' })

/**
 * One version of one offer. Any change of it, be it a word of its description, is a new version: a claim is built from the version
 * it was accepted with. `limits` and `feature_limits` are the panel's own fields and units (MiB, percent of a CPU core).
 */
export const TemplateDefinition = Type.Object({
  version: TemplateVersion,
  title: Text(60),
  description: Text(280),
  nest: PanelId,
  egg: PanelId,
  /** The panel's own rule for an image (app/Models/Server.php, v1.11.8). */
  image: Type.String({ minLength: 1, maxLength: 191, pattern: '^~?[\\w./:@ -]+$' }),
  startup: Type.String({ minLength: 1, maxLength: 4096 }),
  /** Every variable of the egg: the panel's API fills in no defaults. `{{port}}` stands for the port that the server was given. */
  environment: Type.Record(VariableName, Type.String({ maxLength: 1024 })),
  limits: Type.Object({
    memory: Type.Integer({ minimum: 0 }),
    swap: Type.Integer({ minimum: -1 }),
    disk: Type.Integer({ minimum: 0 }),
    io: Type.Integer({ minimum: 10, maximum: 1000 }),
    cpu: Type.Integer({ minimum: 0 }),
  }, { additionalProperties: false }),
  feature_limits: Type.Object({
    databases: Type.Integer({ minimum: 0, maximum: 100 }),
    allocations: Type.Integer({ minimum: 0, maximum: 100 }),
    backups: Type.Integer({ minimum: 0, maximum: 100 }),
  }, { additionalProperties: false }),
  /** Where servers may be put, as the panel's node ids. Their order does not matter. */
  nodes: Type.Array(PanelId, { minItems: 1, maxItems: 100, uniqueItems: true }),
  /** The server is up when this port takes a TCP connection: a fixed one, the one that a variable holds, or (neither) the one it was given. */
  healthcheck: Type.Object({
    port: Type.Optional(Port),
    /** `SERVER_PORT`, which the panel sets to the given port, or a variable of `environment`. */
    portEnv: Type.Optional(VariableName),
    /** From the end of the install. */
    deadlineS: Type.Integer({ minimum: 1, maximum: 3600 }),
  }, { additionalProperties: false }),
  /** From the creation: an image that cannot be pulled leaves a server installing for ever, and the panel never says so. */
  installDeadlineS: Type.Integer({ minimum: 1, maximum: 7200 }),
}, { additionalProperties: false })
export type TemplateDefinition = Static<typeof TemplateDefinition>

export interface Template {
  readonly name: string
  readonly definition: Readonly<TemplateDefinition>
  /** SHA-256 (hex) of the definition, whatever the order of its fields. */
  readonly hash: string
}
export type Templates = ReadonlyMap<string, Template>

const TemplateFile = Type.Object({ templates: Type.Record(TemplateName, Type.Unknown(), { minProperties: 1, maxProperties: 50 }) }, { additionalProperties: false })

/** Reads and checks the file. Throws a permanent Fault TEMPLATES_INVALID that names every template and field that is wrong. */
export function loadTemplates (path: string): Templates {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw permanent('TEMPLATES_INVALID', `${path} cannot be read`, { cause: error })
  }
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch (error) {
    throw permanent('TEMPLATES_INVALID', `${path} is not JSON: ${(error as Error).message}`)
  }
  return parseTemplates(file)
}

/** The same for what a file held. */
export function parseTemplates (file: unknown): Templates {
  if (!validatorOf(TemplateFile).Check(file)) throw invalid(wrongFields(TemplateFile, file, 'file'))
  const { templates } = file as Static<typeof TemplateFile>
  const problems = Object.entries(templates).flatMap(([name, definition]) => problemsOfTemplate(name, definition))
  if (problems.length > 0) throw invalid(problems)
  return new Map(Object.entries(templates).map(([name, definition]) => [name, templateOf(name, definition as TemplateDefinition)]))
}

/** Every problem of one definition, as `<name>: <field> <what is wrong>`. */
export function problemsOfTemplate (name: string, definition: unknown): string[] {
  if (!validatorOf(TemplateDefinition).Check(definition)) return wrongFields(TemplateDefinition, definition, name)
  const { environment, healthcheck: { port, portEnv } } = definition as TemplateDefinition
  const problems: string[] = []
  if (port !== undefined && portEnv !== undefined) problems.push('healthcheck must have port or portEnv, not both')
  if (portEnv !== undefined && portEnv !== GIVEN_PORT && !isPort(expanded(environment[portEnv] ?? '', 1))) {
    problems.push(`healthcheck.portEnv names ${portEnv}, which is not a variable of environment that holds a port`)
  }
  for (const [variable, value] of Object.entries(environment)) {
    if (/\{\{(?!port\}\})/.test(value)) problems.push(`environment.${variable} holds a placeholder other than {{port}}`)
  }
  return problems.map((problem) => `${name}: ${problem}`)
}

export function templateOf (name: string, definition: TemplateDefinition): Template {
  return Object.freeze({ name, definition: deepFrozen(definition), hash: createHash('sha256').update(canonical(definition)).digest('hex') })
}

const GIVEN_PORT = 'SERVER_PORT'

/** The environment to send for a server that was given `port`. */
export function environmentOf (definition: TemplateDefinition, port: number): Record<string, string> {
  return Object.fromEntries(Object.entries(definition.environment).map(([name, value]) => [name, expanded(value, port)]))
}

/** The port that the health check knocks at, for a server that was given `port`. */
export function healthPortOf (definition: TemplateDefinition, port: number): number {
  const { healthcheck, environment } = definition
  if (healthcheck.port !== undefined) return healthcheck.port
  if (healthcheck.portEnv === undefined || healthcheck.portEnv === GIVEN_PORT) return port
  return Number(expanded(environment[healthcheck.portEnv] ?? '', port))
}

const expanded = (value: string, port: number): string => value.replaceAll('{{port}}', String(port))
const isPort = (text: string): boolean => /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65535

function wrongFields (schema: Parameters<typeof validatorOf>[0], value: unknown, name: string): string[] {
  // An unknown field is reported twice: by its parent, who names it, and by itself as `boolean`.
  return validatorOf(schema).Errors(value).filter(({ keyword }) => keyword !== 'boolean').slice(0, 20).map((error) => {
    const { requiredProperties, additionalProperties } = error.params as { requiredProperties?: string[], additionalProperties?: string[] }
    const at = error.instancePath.slice(1).replaceAll('/', '.')
    const below = (field: string): string => at === '' ? field : `${at}.${field}`
    if (requiredProperties) return `${name}: ${requiredProperties.map(below).join(', ')} is missing`
    if (additionalProperties) return `${name}: ${additionalProperties.map(below).join(', ')} is not known`
    return `${name}: ${at} ${error.message}`
  })
}

function invalid (problems: readonly string[]): Error {
  return permanent('TEMPLATES_INVALID', `the templates are not valid\n  ${problems.join('\n  ')}`)
}

function canonical (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1).map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`
}

function deepFrozen<Value> (value: Value): Value {
  if (typeof value === 'object' && value !== null) for (const member of Object.values(value)) deepFrozen(member)
  return Object.freeze(value)
}
