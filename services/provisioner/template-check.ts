// Do the templates fit the panel as it is now? Looks, and changes nothing.
import type { Template, Templates } from '../common/templates.ts'
import type { Egg, EggVariable, PanelNode } from './pterodactyl.ts'

export interface Finding { readonly isFine: boolean, readonly text: string }

export interface PanelView {
  egg (nest: number, egg: number): Promise<Egg | null>
  node (id: number): Promise<PanelNode | null>
}

export async function checkTemplates (templates: Templates, panel: PanelView): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const template of templates.values()) {
    const { name, definition: { nest, egg: eggId, nodes } } = template
    const egg = await panel.egg(nest, eggId)
    findings.push(egg ? fine(`${name}: egg ${eggId} of nest ${nest} is "${egg.name}"`) : wrong(`${name}: the panel has no egg ${eggId} in nest ${nest}`))
    if (egg) findings.push(...checkEgg(template, egg))
    for (const id of nodes) findings.push(checkNode(name, id, await panel.node(id)))
  }
  return findings
}

/** Pure: the template against one egg. */
export function checkEgg ({ name, definition: { image, environment } }: Template, egg: Egg): Finding[] {
  const findings: Finding[] = [egg.images.includes(image)
    ? fine(`${name}: the egg offers the image ${image}`)
    : wrong(`${name}: the image ${image} is none of the egg's (${egg.images.join(', ')})`)]
  const problems = [
    ...egg.variables.flatMap((variable) => problemsOf(variable, environment[variable.name])),
    // The panel ignores what the egg does not know, so a program would wait for it in vain.
    ...Object.keys(environment).filter((key) => !egg.variables.some((variable) => variable.name === key)).map((key) => `environment.${key} is no variable of the egg`),
  ]
  if (problems.length === 0) findings.push(fine(`${name}: all ${egg.variables.length} variables of the egg are given`))
  return [...findings, ...problems.map((problem) => wrong(`${name}: ${problem}`))]
}

function checkNode (name: string, id: number, node: PanelNode | null): Finding {
  if (!node) return wrong(`${name}: the panel has no node ${id}`)
  if (node.isInMaintenance) return wrong(`${name}: node ${id} (${node.fqdn}) is in maintenance`)
  const free = node.allocations.filter(({ assigned }) => !assigned).length
  return free > 0 ? fine(`${name}: node ${id} (${node.fqdn}) has ${free} of ${node.allocations.length} ports free`) : wrong(`${name}: node ${id} (${node.fqdn}) has no free port`)
}

/** As far as can be seen from here: the panel has more rules than are worth repeating. `{{port}}` stands for a port. */
function problemsOf ({ name, rules }: EggVariable, given: string | undefined): string[] {
  if (given === undefined) return [`environment.${name} is missing, and the panel fills in no defaults`]
  const value = given.replaceAll('{{port}}', '25565')
  const list = rules.split('|')
  if (value === '') return list.includes('required') ? [`environment.${name} may not be empty (${rules})`] : []
  const isNumber = list.includes('integer') || list.includes('numeric') || list.includes('int')
  return list.filter((rule) => !passes(rule, value, isNumber)).map((rule) => `environment.${name} breaks the rule ${rule}`)
}

function passes (rule: string, value: string, isNumber: boolean): boolean {
  const [key = '', ...rest] = rule.split(':')
  const argument = rest.join(':')
  const size = isNumber ? Number(value) : value.length
  switch (key) {
    case 'boolean': case 'bool': return ['0', '1', 'true', 'false'].includes(value)
    case 'integer': case 'int': return /^-?\d+$/.test(value)
    case 'numeric': return value.trim() !== '' && Number.isFinite(Number(value))
    case 'max': return size <= Number(argument)
    case 'min': return size >= Number(argument)
    case 'between': { const [least = 0, most = Infinity] = argument.split(',').map(Number); return size >= least && size <= most }
    case 'in': return argument.split(',').includes(value)
    case 'url': return URL.canParse(value)
    case 'regex': return matches(argument, value)
    default: return true
  }
}

/** PHP's delimiters and flags; a pattern that JavaScript cannot read passes. */
function matches (pattern: string, value: string): boolean {
  const end = pattern.lastIndexOf(pattern.charAt(0))
  try {
    return new RegExp(pattern.slice(1, end), pattern.slice(end + 1).replace(/[^ims]/g, '')).test(value)
  } catch {
    return true
  }
}

const fine = (text: string): Finding => ({ isFine: true, text })
const wrong = (text: string): Finding => ({ isFine: false, text })
