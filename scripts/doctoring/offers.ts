// What is offered, and whether the panel can give it: templates, their eggs, and nodes with ports left.
import { Registry } from 'prom-client'
import { Fault } from '../../services/common/fault.ts'
import { loadTemplates, type Templates } from '../../services/common/templates.ts'
import { createPanelBudget } from '../../services/provisioner/panel-budget.ts'
import { createPanelClient } from '../../services/provisioner/panel-client.ts'
import { createPterodactyl, type Egg, type PanelNode, type Pterodactyl } from '../../services/provisioner/pterodactyl.ts'
import { checkEgg } from '../../services/provisioner/template-check.ts'
import { defineCheck, no, ok, Unseen, verdictOf, type Finding } from './check.ts'
import type { World } from './world.ts'

/** A node with fewer free ports has no room for an evening. */
const FREE_MIN = 10
const PATIENCE_MS = 5_000

export const templates = defineCheck('templates', [], async ({ settings: { TEMPLATES_FILE } }) => {
  try {
    return judgeTemplates(loadTemplates(TEMPLATES_FILE))
  } catch (error) {
    if (error instanceof Fault) return judgeTemplates(error)
    throw error
  }
})

export const judgeTemplates = (read: Templates | Fault): Finding => read instanceof Fault
  ? no(read.message.split(/\n\s*/).slice(0, 6).join('; '), 'mend config/templates.json')
  : ok([...read.values()].map(({ name, definition }) => `${name} version ${definition.version}`).join(', '))

export const panelEggs = defineCheck('panel-eggs', ['SECRETS_DIRECTORY', 'PANEL_URL'], async (world, { PANEL_URL }) => {
  const offered = offers(world)
  return await asking(world, PANEL_URL, async (panel) => {
    const eggs = await Promise.all([...offered.values()].map(async ({ name, definition: { nest, egg } }) => [name, await panel.egg(nest, egg, world.signal)] as const))
    return judgeEggs(offered, new Map(eggs))
  })
})

export function judgeEggs (offered: Templates, eggs: ReadonlyMap<string, Egg | null>): Finding {
  const wrong = [...offered.values()].flatMap((template) => {
    const { name, definition: { nest, egg: id } } = template
    const egg = eggs.get(name)
    return egg ? checkEgg(template, egg).filter(({ isFine }) => !isFine).map(({ text }) => text) : [`${name}: the panel has no egg ${id} in nest ${nest}`]
  })
  return verdictOf(wrong, `${[...offered.keys()].join(', ')}: the panel has the egg, its image and all its variables`, 'scripts/check-templates; mend config/templates.json, raise the version')
}

export const panelNodes = defineCheck('panel-nodes', ['SECRETS_DIRECTORY', 'PANEL_URL'], async (world, { PANEL_URL }) => {
  const ids = [...new Set([...offers(world).values()].flatMap(({ definition: { nodes } }) => nodes))].toSorted((a, b) => a - b)
  return await asking(world, PANEL_URL, async (panel) => judgeNodes(await Promise.all(ids.map(async (id) => ({ id, node: await panel.node(id, 'poll', world.signal) })))))
})

export function judgeNodes (found: ReadonlyArray<{ readonly id: number, readonly node: PanelNode | null }>): Finding {
  const looked = found.map(({ id, node }) => ({ id, node, free: node?.allocations.filter(({ assigned }) => !assigned).length ?? 0 }))
  const wrong = looked.flatMap(({ id, node, free }) => {
    if (!node) return [`the panel has no node ${id}`]
    if (node.isInMaintenance) return [`node ${id} (${node.fqdn}) is in maintenance`]
    return free < FREE_MIN ? [`node ${id} (${node.fqdn}) has ${free} free ports, and should have ${FREE_MIN}`] : []
  })
  return verdictOf(wrong, looked.map(({ id, free }) => `node ${id} has ${free} free ports`).join(', '), 'add allocations on the panel; or change `nodes` in config/templates.json, raise the version')
}

function offers ({ settings: { TEMPLATES_FILE } }: World): Templates {
  try {
    return loadTemplates(TEMPLATES_FILE)
  } catch {
    throw new Unseen('the templates cannot be read')
  }
}

async function asking (world: World, url: string, look: (panel: Pterodactyl) => Promise<Finding>): Promise<Finding> {
  const budget = createPanelBudget({ concurrency: { server: 1, other: 2 }, windowMs: 60_000, patienceMs: PATIENCE_MS, now: Date.now })
  const panel = createPterodactyl(createPanelClient({ url, key: world.secret('PANEL_KEY'), budget, readTimeoutMs: PATIENCE_MS, writeTimeoutMs: PATIENCE_MS, registry: new Registry(), stopCalls: world.signal }))
  try {
    return await look(panel)
  } finally {
    await panel.close()
  }
}
