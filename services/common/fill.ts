// Words with values in them. Apart from the catalogue, so that a page in a browser carries no more than this.
export type PhraseValues = Readonly<Record<string, string | number>>

const PLACEHOLDER = /\{(\w+)\}/g

export const placeholdersOf = (text: string): string[] => [...new Set([...text.matchAll(PLACEHOLDER)].map(([, name]) => name as string))].toSorted()

/**
 * Every `{name}` replaced by the value of that name. Values are taken as they are: one that looks like a placeholder stays.
 * Throws where a value is missing; the error names the key only.
 */
export function fill (text: string, values: PhraseValues, key: string): string {
  return text.replace(PLACEHOLDER, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`${key} needs a value for {${name}}`)
    return String(value)
  })
}
