// What the dashboards are written with: one function for each kind of panel, which knows how Grafana 12 and 13 want it, and the few forms
// of PromQL that keep coming back. Grafana's own published types hold what is written here (`Written`), since it cannot run in our tests.
import type { Dashboard, FieldConfig, Panel as GrafanaPanel } from '@grafana/grafana-foundation-sdk/dashboard'
import type { Options as BarGaugeOptions } from '@grafana/grafana-foundation-sdk/bargauge'
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus'
import type { Options as StatOptions } from '@grafana/grafana-foundation-sdk/stat'
import type { FieldConfig as TimelineFieldConfig, Options as TimelineOptions } from '@grafana/grafana-foundation-sdk/statetimeline'
import type { Options as TextOptions } from '@grafana/grafana-foundation-sdk/text'
import type { FieldConfig as GraphFieldConfig, Options as GraphOptions } from '@grafana/grafana-foundation-sdk/timeseries'

/** As JSON has it: the values of an enum instead of its members. */
export type Written<Value> = Value extends string ? `${Value}` : Value extends number ? Value | (`${Value}` extends `${infer Digits extends number}` ? Digits : never)
  : Value extends ReadonlyArray<infer Item> ? Array<Written<Item>> : Value extends object ? { [Key in keyof Value as Value[Key] extends (...args: never[]) => unknown ? never : Key]: Written<Value[Key]> } : Value
export type WrittenDashboard = Written<Dashboard>
export type WrittenPanel = Written<GrafanaPanel>

/** provisioning/datasources/prometheus.yml has it too. */
export const DATASOURCE = { type: 'prometheus', uid: 'klaim-prometheus' }

export interface Query { readonly expr: string, /** Of each line, with {{labels}}. */ readonly legend?: string }
/** From this value on, this colour; the first one stands for all below. */
export type Colours = readonly [first: string, ...rest: ReadonlyArray<readonly [from: number, colour: string]>]
export interface Word { readonly text: string, readonly colour: string }

interface Told {
  readonly title: string
  /** In plain words: what is seen, and what it means when it looks bad. */
  readonly description: string
  /** Anchor in RUNBOOK.md where what to do is written. */
  readonly runbook?: string
  /** Of 24 columns. */
  readonly width?: number
  readonly height?: number
}
interface Shown extends Told {
  /** By Grafana's ids: s, bytes, percentunit, dateTimeFromNow, … */
  readonly unit: string
  readonly decimals?: number
  readonly colours?: Colours
  /** Instead of numbers. */
  readonly words?: Readonly<Record<number, Word>>
  /** Instead of "No data". */
  readonly none?: string
}

export interface Panel { readonly told: Told, readonly written: Omit<WrittenPanel, 'id' | 'gridPos' | 'title' | 'description' | 'links'> }
export interface Row { readonly title: string, readonly panels: readonly Panel[] }

/** One number now, large and coloured. */
export function stat (query: string, shown: Shown & { readonly hasLine?: boolean }): Panel {
  const options: Written<StatOptions> = {
    reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, orientation: 'auto', textMode: 'value', wideLayout: true, justifyMode: 'center',
    colorMode: shown.colours || shown.words ? 'background_solid' : 'value', graphMode: 'none', showPercentChange: false, percentChangeColorMode: 'standard',
  }
  return { told: { width: 4, height: 4, ...shown }, written: { type: 'stat', datasource: DATASOURCE, targets: targets([{ expr: query }], 'now'), options, fieldConfig: { defaults: field(shown), overrides: [] } } }
}

/** Lines over time. */
export function graph (queries: readonly Query[], shown: Shown & { readonly form?: 'lines' | 'bars' | 'stacked', readonly max?: number, /** No finer than this, for what happens seldom. */ readonly step?: string }): Panel {
  const isBars = shown.form === 'bars'
  const custom: Written<GraphFieldConfig> = {
    drawStyle: isBars ? 'bars' : 'line', lineWidth: 1, fillOpacity: isBars ? 60 : shown.form === 'stacked' ? 30 : 10, showPoints: 'auto', spanNulls: false,
    stacking: { mode: shown.form === undefined || shown.form === 'lines' ? 'none' : 'normal' }, thresholdsStyle: { mode: shown.colours ? 'dashed' : 'off' },
  }
  const options: Written<GraphOptions> = { legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] }, tooltip: { mode: 'multi', sort: 'desc' } }
  const defaults = { ...field(shown), min: 0, ...(shown.max !== undefined && { max: shown.max }), color: { mode: 'palette-classic-by-name' as const }, custom }
  return { told: { width: 8, height: 8, ...shown }, written: { type: 'timeseries', datasource: DATASOURCE, targets: targets(queries, 'over time'), options, fieldConfig: { defaults, overrides: [] }, ...(shown.step !== undefined && { interval: shown.step }) } }
}

/** Which state something was in, over time. */
export function timeline (query: Query, shown: Shown): Panel {
  const custom: Written<TimelineFieldConfig> = { fillOpacity: 80, lineWidth: 0, spanNulls: false }
  const options: Written<TimelineOptions> = { showValue: 'never', rowHeight: 0.9, mergeValues: true, alignValue: 'left', legend: { displayMode: 'list', placement: 'bottom', showLegend: false, calcs: [] }, tooltip: { mode: 'single', sort: 'none' } }
  return { told: { width: 12, height: 8, ...shown }, written: { type: 'state-timeline', datasource: DATASOURCE, targets: targets([query], 'over time'), options, fieldConfig: { defaults: { ...field(shown), custom }, overrides: [] } } }
}

/** One bar for each value of a label, now. `names`: instead of what the label says. */
export function bars (query: Query, shown: Shown & { readonly names?: Readonly<Record<string, string>> }): Panel {
  const options: Written<BarGaugeOptions> = {
    reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, orientation: 'horizontal', displayMode: 'basic', valueMode: 'color', namePlacement: 'left', showUnfilled: true, sizing: 'auto',
    minVizWidth: 8, minVizHeight: 16, maxVizHeight: 40, legend: { displayMode: 'list', placement: 'bottom', showLegend: false, calcs: [] },
  }
  const overrides = Object.entries(shown.names ?? {}).map(([value, name]) => ({ matcher: { id: 'byName', options: value }, properties: [{ id: 'displayName', value: name }] }))
  return { told: { width: 8, height: 8, ...shown }, written: { type: 'bargauge', datasource: DATASOURCE, targets: targets([query], 'now'), options, fieldConfig: { defaults: { ...field(shown), min: 0 }, overrides } } }
}

/** Markdown. */
export function text (content: string, told: Told): Panel {
  const options: Written<TextOptions> = { mode: 'markdown', content }
  return { told, written: { type: 'text', options } }
}

function field ({ unit, decimals, colours = ['blue'], words, none }: Shown): Written<FieldConfig> {
  const [first, ...rest] = colours
  return {
    unit, ...(decimals !== undefined && { decimals }), ...(none !== undefined && { noValue: none }),
    mappings: words ? [{ type: 'value', options: Object.fromEntries(Object.entries(words).map(([value, { text, colour }], index) => [value, { text, color: colour, index }])) }] : [],
    thresholds: { mode: 'absolute', steps: [{ color: first, value: null }, ...rest.map(([value, color]) => ({ color, value }))] },
    color: { mode: 'thresholds' },
  }
}

function targets (queries: readonly Query[], when: 'now' | 'over time'): WrittenPanel['targets'] & {} {
  return queries.map(({ expr, legend }, index) => {
    const query: Written<Dataquery> = { refId: String.fromCharCode(65 + index), datasource: DATASOURCE, editorMode: 'code', expr, instant: when === 'now', range: when === 'over time', ...(legend !== undefined && { legendFormat: legend }) }
    return query
  })
}
