// The forms of PromQL that keep coming back. Several processes of one service count for themselves what they do, so counters are added up;
// they see the same world, so of gauges the `max` counts (docs/metrics.md).

/** How many in the time that is shown. increase() reaches to the edges of its window and is not whole, so it is rounded. */
export const inRange = (series: string): string => `round(sum(increase(${series}[$__range])))`

/** The same, over time: so many around each point. */
export const around = (series: string, by?: string): string => `sum${by === undefined ? '' : ` by (${by})`} (increase(${series}[$__rate_interval]))`

export const perSecond = (series: string, by?: string): string => `sum${by === undefined ? '' : ` by (${by})`} (rate(${series}[$__rate_interval]))`

/** `share` of 0.95: so long for 95 of 100. Without a number where nothing was measured. */
export const quantile = (share: number, histogram: string, { matching = '', by = '', window = '$__rate_interval' } = {}): string =>
  `histogram_quantile(${share}, sum by (le${by === '' ? '' : `, ${by}`}) (rate(${histogram}_bucket${matching}[${window}])))`

/** The lines of a counter which had something in the time that is shown; where none had, one line of 0 that says `nothing`. */
export const somethingOf = (series: string, label: string, nothing: string): string =>
  `sort_desc(round(sum by (${label}) (increase(${series}[$__range]))) > 0 or on () ${zero(label, nothing)})`

/**
 * The same of a counter whose labels nobody knows before they are needed: it begins at 1, and increase() does not see the step from nothing. So
 * what was not there at the beginning counts whole.
 */
export const somethingNewOf = (series: string, label: string, nothing: string): string =>
  `sort_desc(round(sum by (${label}) (increase(${series}[$__range]) and ${series} offset $__range or max_over_time(${series}[$__range]))) > 0 or on () ${zero(label, nothing)})`

const zero = (label: string, nothing: string): string => `label_replace(vector(0), "${label.split(', ')[0] ?? ''}", "${nothing}", "", "")`

/** A state that is -1 where nobody says it: a service that is down must not look well. */
export const orUnknown = (query: string): string => `${query} or vector(-1)`
