/** JSON as PHP writes it, because a reader that only copes with JSON.stringify would fail on the real panel. */

export type Fields = Record<string, unknown>

export const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null

/** One line; slashes and everything beyond ASCII escaped. */
export function phpJson (value: unknown): string {
  return JSON.stringify(value).replaceAll('/', '\\/').replaceAll(/[\u0080-\uFFFF]/g, escaped)
}

/** Four spaces of indent, slashes as they are: how the panel prints its HTTP exceptions. */
export function prettyJson (value: unknown): string {
  return JSON.stringify(value, null, 4).replaceAll(/[\u0080-\uFFFF]/g, escaped)
}

const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
