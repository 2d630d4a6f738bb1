// Every version of every template that was ever offered, in NATS: claims are built from the version they were accepted with, and a version
// that stands there never changes its content.
import { Type, type Static } from 'typebox'
import type { Bucket } from '../common/bucket.ts'
import { permanent, transient } from '../common/fault.ts'
import { problemsOfTemplate, TemplateDefinition, templateOf, type Template, type Templates } from '../common/templates.ts'
import { validatorOf } from '../common/envelope.ts'

const Registered = Type.Object({ hash: Type.String(), definition: TemplateDefinition })
type Registered = Static<typeof Registered>

export interface TemplateRegister {
  /** Permanent Fault TEMPLATE_CHANGED or TEMPLATE_VERSION_BACK, with the name of the template. */
  register (templates: Templates): Promise<void>
  /** Names that were offered once and are not in the file. */
  vanished (templates: Templates): Promise<string[]>
  /** Transient Fault TEMPLATE_UNKNOWN: the version may be registered in a moment, during a rollout. */
  template (name: string, version: number): Promise<Template>
}

export function createTemplateRegister (bucket: Bucket): TemplateRegister {
  const known = new Map<string, Template>()

  async function read (key: string): Promise<Registered | null> {
    const entry = await bucket.get(key)
    if (!entry) return null
    const registered: unknown = JSON.parse(entry.text())
    if (!validatorOf(Registered).Check(registered)) throw permanent('STORE_CORRUPT', `the registered template ${key} cannot be read`)
    return registered as Registered
  }

  async function versionsOf (name: string): Promise<number[]> {
    return (await bucket.keys(`${name}.*`)).map((key) => Number(key.slice(name.length + 1)))
  }

  return {
    register: async (templates) => {
      for (const { name, definition, hash } of templates.values()) {
        const { version } = definition
        const newest = Math.max(0, ...await versionsOf(name))
        if (version < newest) throw permanent('TEMPLATE_VERSION_BACK', `${name}: version ${newest} was offered already, so ${version} cannot be offered again; give it version ${newest + 1}`)
        await bucket.create(keyOfTemplate(name, version), JSON.stringify({ hash, definition } satisfies Registered))
        const standing = await read(keyOfTemplate(name, version))
        if (standing?.hash !== hash) throw permanent('TEMPLATE_CHANGED', `${name}: version ${version} was offered with other content; give it a new version (${version + 1})`)
      }
    },
    vanished: async (templates) => [...new Set((await bucket.keys()).map((key) => key.split('.')[0] ?? ''))].filter((name) => !templates.has(name)),
    template: async (name, version) => {
      const key = keyOfTemplate(name, version)
      const cached = known.get(key)
      if (cached) return cached
      const registered = await read(key)
      if (!registered) throw transient('TEMPLATE_UNKNOWN', `${name} version ${version} is not registered`)
      const problems = problemsOfTemplate(name, registered.definition)
      if (problems.length > 0) throw permanent('EGG_INVALID', problems.join(', '))
      const template = templateOf(name, registered.definition)
      known.set(key, template)
      return template
    },
  }
}

const keyOfTemplate = (name: string, version: number): string => `${name}.${version}`
