// A dashboard from its rows of panels: places, numbers, links. What is on it is described in the four files beside this one.
import type { Dashboard, DashboardLink, VariableModel } from '@grafana/grafana-foundation-sdk/dashboard'
import { DATASOURCE, type Panel, type Row, type Written, type WrittenDashboard } from './grafana.ts'

/** Stands in the links until an installation puts there where its RUNBOOK.md can be read; RUNBOOK.md says how. */
export const RUNBOOK_URL = 'https://klaim.invalid/RUNBOOK.md'
const COLUMNS = 24

export interface Variable { readonly name: string, readonly label: string, /** Its values are those of `of[1]` on the series of `of[0]`. */ readonly of: readonly [metric: string, label: string] }

export interface Description {
  /** The file's name and the end of the address, so it stays. */
  readonly name: string
  readonly title: string
  readonly description: string
  /** What is shown when it is opened: the time from then until now. */
  readonly from: string
  readonly timezone: string
  readonly variables?: readonly Variable[]
  readonly rows: readonly Row[]
}

export function dashboard ({ name, title, description, from, timezone, variables = [], rows }: Description): WrittenDashboard {
  const panels: NonNullable<Written<Dashboard>['panels']> = []
  let y = 0
  for (const row of rows) {
    panels.push({ type: 'row', id: panels.length + 1, title: row.title, collapsed: false, panels: [], gridPos: { x: 0, y, w: COLUMNS, h: 1 } })
    y++
    for (const line of linesOf(row.panels)) {
      let x = 0
      for (const { told, written } of line) {
        const { w, h } = sizeOf(told)
        panels.push({ ...written, id: panels.length + 1, title: told.title, description: told.description, gridPos: { x, y, w, h }, links: told.runbook === undefined ? [] : [link('What to do', told.runbook)] })
        x += w
      }
      y += Math.max(...line.map(({ told }) => sizeOf(told).h))
    }
  }
  return {
    uid: `klaim-${name}`, title, description, tags: ['klaim'], schemaVersion: 42, editable: false, graphTooltip: 1, refresh: '30s', timezone, time: { from, to: 'now' },
    templating: { list: variables.map(variable) }, annotations: { list: [] }, links: [{ ...link('Klaim', ''), type: 'dashboards', url: '', tags: ['klaim'], keepTime: true, targetBlank: false }, link('RUNBOOK', '')], panels,
  }
}

const sizeOf = ({ width = 8, height = 8 }: Panel['told']): { w: number, h: number } => ({ w: width, h: height })

/** As many beside each other as there is room for. */
function linesOf (panels: readonly Panel[]): Panel[][] {
  const lines: Panel[][] = []
  let used = COLUMNS
  for (const panel of panels) {
    const { w } = sizeOf(panel.told)
    if (used + w > COLUMNS) {
      lines.push([])
      used = 0
    }
    lines.at(-1)?.push(panel)
    used += w
  }
  return lines
}

function link (title: string, anchor: string): Written<DashboardLink> {
  return { title, type: 'link', url: anchor === '' ? RUNBOOK_URL : `${RUNBOOK_URL}#${anchor}`, icon: 'doc', tooltip: '', tags: [], asDropdown: false, targetBlank: true, includeVars: false, keepTime: false }
}

/** Any, some or all of the values that Prometheus knows. */
function variable ({ name, label, of: [metric, labelName] }: Variable): Written<VariableModel> {
  const query = `label_values(${metric}, ${labelName})`
  return { type: 'query', name, label, datasource: DATASOURCE, definition: query, query: { qryType: 1, query, refId: name }, refresh: 2, sort: 1, multi: true, includeAll: true, current: { text: ['All'], value: ['$__all'] }, options: [] }
}
