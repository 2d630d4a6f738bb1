/** How MariaDB's utf8mb4_unicode_ci compares: case, accents and trailing spaces do not count. */
const folded = (text: string) => text.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase().replace(/ +$/, '')

export const sameText = (a: string | null, b: string | null) => a !== null && b !== null && folded(a) === folded(b)

/** LOWER(column) LIKE '%value%' with the wildcards escaped. */
export const containsText = (text: string, part: string) => folded(text).includes(part.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase())

/**
 * What the database makes of a path id in `WHERE id = '<text>'`: the number it starts with.
 * So `/servers/3ca26fc6-…` is server 3, and `/servers/1e1` is server 10.
 */
export function castToNumber (text: string): number {
  const number = /^\s*[-+]?\d+(\.\d*)?(e[-+]?\d+)?/i.exec(text)
  return number === null ? 0 : Number(number[0])
}
