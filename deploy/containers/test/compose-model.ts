// What docker compose makes of its files, as far as these files need it: variables, anchors, `extends`, `!reset`, `!override`, and one file over
// another. scripts/compose-journey holds it to what the real one makes of them.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'

const ROOT = resolve(import.meta.dirname, '../../..')

export interface Service {
  readonly image: string
  readonly build?: { readonly target?: string, readonly dockerfile?: string }
  readonly user?: string
  readonly restart?: string
  readonly init?: boolean
  readonly read_only?: boolean
  readonly privileged?: boolean
  readonly cap_drop?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly pids_limit?: number
  readonly mem_limit?: string
  readonly memswap_limit?: string
  readonly cpus?: number
  readonly stop_grace_period?: string
  readonly network_mode?: string
  readonly ulimits?: { readonly core?: number | { readonly hard: number } }
  readonly logging?: { readonly options?: { readonly 'max-size'?: string, readonly 'max-file'?: string } }
  readonly healthcheck?: { readonly disable?: boolean, readonly test?: readonly string[] }
  readonly profiles?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | number>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly networks?: Readonly<Record<string, { readonly aliases?: readonly string[] } | null>>
  /** As they are written: `127.0.0.1:8080:8080`, `secrets:/etc/klaim:ro`. */
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
}
export interface Model {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
  readonly volumes: Readonly<Record<string, unknown>>
}

/** In place of what an earlier file says, instead of merged with it. */
class Instead {
  readonly value: unknown
  constructor (value: unknown) { this.value = value }
}
const tags = (['!reset', '!override'] as const).flatMap((tag) => {
  const toValue = (node: unknown): unknown => new Instead(tag === '!reset' ? undefined : (node as { toJSON (): unknown }).toJSON())
  return (['map', 'seq'] as const).map((collection) => ({ tag, collection, resolve: toValue }))
})

type Raw = Record<string, unknown>
const isMap = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Instead)

/** Of files below the root of the repository, the later over the earlier. */
export function composeModel (files: readonly string[], variables: Readonly<Record<string, string>> = {}): Model {
  return files.map((file) => loaded(file, variables)).reduce((under, over) => merged(under, over) as Raw, {}) as unknown as Model
}

/** How compose reads a file of variables (`--env-file`), without quotes. */
export const variablesIn = (text: string): Record<string, string> => Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]))

function loaded (file: string, variables: Readonly<Record<string, string>>): Raw {
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string') {
      return value.replaceAll(/\$\{(\w+)(:-|:\?)?([^}]*)\}/g, (_, name: string, kind: string | undefined, word: string) => {
        if (!variables[name] && kind === ':?') throw new Error(`${file} needs ${name}: ${word}`)
        return variables[name] || (kind === ':-' ? word : '')
      })
    }
    if (value instanceof Instead) return new Instead(fill(value.value))
    return Array.isArray(value) ? value.map(fill) : isMap(value) ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each)])) : value
  }
  const raw = fill(parse(readFileSync(join(ROOT, file), 'utf8'), { merge: true, customTags: tags, logLevel: 'error' })) as { services: Record<string, Raw> }
  const services = Object.entries(raw.services).map(([name, { extends: from, ...service }]) => {
    if (!isMap(from)) return [name, service] as const
    const base = (loaded(String(from['file']), variables)['services'] as Record<string, Raw>)[String(from['service'])]
    return [name, merged(base, service)] as const
  })
  return { ...raw, services: Object.fromEntries(services) }
}

/** Lists that say one thing are replaced; of mounts the later one at a place counts; other lists are added up. */
function merged (under: unknown, over: unknown, key = ''): unknown {
  if (over instanceof Instead) return NAMES.has(key) ? named(over.value) : over.value
  if (NAMES.has(key)) return mergedMaps(named(under), named(over))
  if (isMap(over)) return mergedMaps(isMap(under) ? under : {}, over)
  if (over === undefined) return isMap(under) ? mergedMaps(under, {}) : under
  if (!Array.isArray(under) || !Array.isArray(over) || key === 'command' || key === 'test') return over ?? under ?? null
  const target = (mount: unknown): string => key === 'volumes' ? String(mount).split(':')[1] ?? '' : String(mount)
  return [...under.filter((each) => !over.some((other) => target(other) === target(each))), ...over]
}
/** Lists of names that may be maps. */
const NAMES: ReadonlySet<string> = new Set(['networks', 'depends_on'])
const mergedMaps = (under: Raw, over: Raw): Raw => Object.fromEntries([...new Set([...Object.keys(under), ...Object.keys(over)])].map((key) => [key, merged(under[key], over[key], key)]).filter(([, value]) => value !== undefined))
const named = (value: unknown): Raw => Array.isArray(value) ? Object.fromEntries(value.map((name) => [String(name), null])) : isMap(value) ? value : {}
