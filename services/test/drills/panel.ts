// A panel that is away, that others use, or that has no more room.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { environmentOf, loadTemplates, type Template } from '../../common/templates.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { patiently } from '../../common/patience.ts'
import { waJidOf } from '../crowd.ts'
import { procedure } from '../procedures.ts'
import { claims, hasServer, repeating, statusOf } from './deeds.ts'
import type { Drill } from './drill.ts'
import type { Field } from './field.ts'
import { newPanelKey } from '../../../deploy/staging/secrets.ts'

const [{ definition }] = [...loadTemplates(resolve(import.meta.dirname, '../../../config/templates.json')).values()] as [Template]
const NODES = [1, 2]
const LEFT = 3

interface Page<Attributes> { readonly data: ReadonlyArray<{ readonly attributes: Attributes }>, readonly meta: { readonly pagination: { readonly total_pages: number } } }
interface Allocation { readonly id: number, readonly ip: string, readonly port: number, readonly assigned: boolean }

/** Whom the panel told to wait waits, like every administrator. It counts anew within a minute. */
const asAdministrator = async (field: Field, ...call: Parameters<Field['panel']>): Promise<Record<string, unknown>> =>
  await patiently(async () => await field.panel(...call), { until: performance.now() + 90_000, everyMs: 1_000, isPassing: (error) => / answered 429 /.test((error as Error).message) })

async function allocations (field: Field, node: number): Promise<Allocation[]> {
  const found: Allocation[] = []
  for (let page = 1, pages = 1; page <= pages; page++) {
    const { data, meta } = await asAdministrator(field, 'GET', `/nodes/${node}/allocations?per_page=100&page=${page}`) as unknown as Page<Allocation>
    found.push(...data.map(({ attributes }) => attributes))
    pages = meta.pagination.total_pages
  }
  return found
}
const freeOnes = async (field: Field): Promise<Allocation[]> => (await Promise.all(NODES.map(async (node) => await allocations(field, node)))).flat().filter(({ assigned }) => !assigned)

/** An administrator makes servers of their own. */
async function take (field: Field, ports: readonly Allocation[]): Promise<void> {
  for (const { id, port } of ports) {
    await asAdministrator(field, 'POST', '/servers', {
      name: 'somebody else', user: 1, egg: definition.egg, docker_image: definition.image, startup: definition.startup, environment: environmentOf(definition, port),
      limits: { ...definition.limits, memory: 1, disk: 1 }, feature_limits: definition.feature_limits, allocation: { default: id },
    })
  }
}

/** More ports of a node, beyond those that it has. */
async function addPorts (field: Field, count: number): Promise<void> {
  const [{ ip, port }] = (await allocations(field, 1)).toSorted((one, other) => other.port - one.port) as [Allocation]
  await asAdministrator(field, 'POST', '/nodes/1/allocations', { ip, ports: [`${port + 1_000}-${port + 1_000 + count - 1}`] })
}

export const panelDrills: readonly Drill[] = [
  {
    alert: 'PanelDown', fault: 'the panel\'s key is deleted on the panel', mitigation: '*Replace the panel\'s key*', shows: /status="401"[^}]*\} [1-9]|PANEL_KEY_REFUSED/,
    scene: async (field) => {
      const { system, behindPanel, follow } = field
      const person = field.member()
      let claimId = ''
      return {
        cause: async () => {
          await behindPanel('remove-key', { key: readFileSync(join(system.secretsDirectory, 'panel_key'), 'utf8').trim() })
          claimId = await claims(person)
        },
        mend: async () => {
          const key = newPanelKey()
          await behindPanel('add-key', { key })
          for (const { command, restarts } of procedure('Replace the panel\'s key.')) {
            if (command === undefined) continue
            await follow(command, key)
            for (const service of restarts) {
              await system.kill(service as 'provisioner', 'SIGTERM')
              await system.start(service as 'provisioner')
            }
          }
          await statusOf(person, claimId, 'active')
        },
      }
    },
  },
  {
    alert: 'PanelDown', variant: '503', fault: 'the panel is in maintenance, and answers 503', mitigation: 'it is back; it goes on by itself', shows: /status="503"[^}]*\} [1-9]/,
    scene: async (field) => {
      const person = field.member()
      let claimId = ''
      return {
        cause: async () => {
          await field.panelKnobs({ panel: { maintenance: true } })
          claimId = await claims(person)
        },
        mend: async () => {
          await field.panelKnobs({ panel: { maintenance: false } })
          await statusOf(person, claimId, 'active')
        },
      }
    },
  },
  {
    alert: 'PanelBudgetExhausted', fault: 'somebody else calls the panel with a key of the same administrator, as often as it lets them', mitigation: 'they stop; the panel counts anew within a minute',
    shows: /klaim_panel_budget_remaining\{service="provisioner"\} \d\n/, clearsMsMax: 180_000,
    scene: async (field) => {
      const others = Array.from({ length: 4 }, () => repeating(async () => await field.panel('GET', '/users?per_page=1'), 20))
      return {
        cause: async () => { for (const other of others) other.begin() },
        mend: async () => { await Promise.all(others.map(async (other) => { await other.end() })) },
      }
    },
  },
  {
    alert: 'DriftFound', fault: 'the panel comes back from its own backup, in which a former member still has an account', mitigation: '`scripts/drift plan`, and `scripts/drift apply` of it', labels: { kind: 'USER_WITHOUT_CLAIM' },
    shows: /USER_WITHOUT_CLAIM.*/, firesMsMax: 180_000,
    scene: async (field) => {
      const { person, claimId } = await hasServer(field)
      await person.leave()
      await statusOf(person, claimId, 'deleted')
      const jid = waJidOf(Number(person.number.slice(-8)))
      return {
        cause: async () => { await field.panel('POST', '/users', { email: `${memberIdOf(field.system.memberIdKey, jid)}@members.klaim.invalid`, external_id: jid, username: 'restored', first_name: 'restored', last_name: 'X' }) },
        mend: async () => {
          // It ends with 1 where there is something to do.
          const [, hash] = /Plan ([0-9a-f]{64})/.exec((await field.run('scripts/drift plan')).said) ?? []
          await field.follow(`scripts/drift apply --confirm ${hash} --why 'the panel was restored'`)
        },
      }
    },
  },
  {
    alert: 'AllocationsRunningLow', fault: 'an administrator makes a server of their own every ten seconds', nearest: 'six in a minute stand for six in an hour', mitigation: 'ports are added to a node on the panel, and somebody claims (otherwise it is seen within five minutes)',
    shows: /klaim_panel_free_allocations\{node="\d+",service="provisioner"\} \d+/, firesMsMax: 2_700_000, meanwhile: true,
    scene: async (field) => {
      const taking = repeating(async () => {
        await take(field, (await freeOnes(field)).slice(0, 1))
      }, 10_000)
      const claiming = repeating(async () => { await hasServer(field) }, 120_000)
      return {
        cause: async () => {
          taking.begin()
          claiming.begin()
        },
        mend: async () => {
          await Promise.all([taking.end(), claiming.end()])
          await addPorts(field, 400)
          await hasServer(field)
        },
      }
    },
  },
  {
    alert: 'AllocationsRunningOut', fault: `an administrator makes servers of their own until ${LEFT} ports are free, and somebody claims`, mitigation: 'ports are added to a node on the panel, and somebody claims (otherwise it is seen within five minutes)',
    shows: /klaim_panel_free_allocations\{node="\d+",service="provisioner"\} [0-3]\n/,
    scene: async (field) => ({
      cause: async () => {
        await take(field, (await freeOnes(field)).slice(LEFT))
        await hasServer(field)
      },
      mend: async () => {
        await addPorts(field, 200)
        await hasServer(field)
      },
    }),
  },
]
