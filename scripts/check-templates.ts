// scripts/check-templates: the templates against the live panel. PANEL_URL, PANEL_KEY or PANEL_KEY_FILE; the file is the first argument or TEMPLATES_FILE.
import { Registry } from 'prom-client'
import { Type, type Static } from 'typebox'
import { Fault } from '../services/common/fault.ts'
import { loadTemplates } from '../services/common/templates.ts'
import { Config } from '../services/provisioner/config.ts'
import { createPanelBudget } from '../services/provisioner/panel-budget.ts'
import { createPanelClient } from '../services/provisioner/panel-client.ts'
import { createPterodactyl } from '../services/provisioner/pterodactyl.ts'
import { checkTemplates } from '../services/provisioner/template-check.ts'
import { withSettings } from './operating/settings.ts'

const { PANEL_URL, PANEL_KEY, TEMPLATES_FILE } = Config.properties
const Settings = Type.Object({ PANEL_URL, PANEL_KEY, TEMPLATES_FILE })
const PATIENCE_MS = 5_000

/** Exit code: 0 all is well, 1 something is not, 78 it could not be looked at. */
async function main (env: Readonly<Record<string, string | undefined>>, file: string | undefined, print: (line: string) => void): Promise<number> {
  return await withSettings(Settings, { ...env, ...(file === undefined ? {} : { TEMPLATES_FILE: file }) }, print, async (settings) => await check(settings, print))
}

async function check (settings: Readonly<Static<typeof Settings>>, print: (line: string) => void): Promise<number> {
  const never = new AbortController().signal
  const budget = createPanelBudget({ concurrency: { server: 1, other: 2 }, windowMs: 60_000, patienceMs: PATIENCE_MS, now: Date.now })
  const client = createPanelClient({ url: settings.PANEL_URL, key: settings.PANEL_KEY, budget, readTimeoutMs: 10_000, writeTimeoutMs: 10_000, registry: new Registry(), stopCalls: never })
  const panel = createPterodactyl(client)
  try {
    const templates = loadTemplates(settings.TEMPLATES_FILE)
    print(`✓ ${settings.TEMPLATES_FILE}: ${[...templates.values()].map(({ name, definition }) => `${name} version ${definition.version}`).join(', ')}`)
    const findings = await checkTemplates(templates, {
      egg: async (nest, egg) => await panel.egg(nest, egg, never),
      node: async (id) => await panel.node(id, 'poll', never),
    })
    for (const { isFine, text } of findings) print(`${isFine ? '✓' : '✗'} ${text}`)
    return findings.every(({ isFine }) => isFine) ? 0 : 1
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    print(`✗ ${error.code}: ${error.message}`)
    return error.code === 'TEMPLATES_INVALID' ? 1 : 78
  } finally {
    await panel.close()
  }
}

process.exitCode = await main(process.env, process.argv[2], (line) => { process.stdout.write(`${line}\n`) })
