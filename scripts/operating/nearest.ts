// Who mistypes a word is told the one that was probably meant.

/** A word that shares less with what was typed is not what was meant. */
const DISTANCE_MAX = 3

/** The known word that is nearest to the typed one; undefined where none is near. */
export function nearest (typed: string, known: readonly string[]): string | undefined {
  const [best] = known.map((word) => ({ word, far: distance(typed, word) })).toSorted((one, two) => one.far - two.far)
  if (best !== undefined && best.far <= Math.min(DISTANCE_MAX, Math.ceil(best.word.length / 3))) return best.word
  // Half a word is not far from the whole one, however long that is.
  const begun = typed.length < 3 ? [] : known.filter((word) => word.startsWith(typed) || word.split('-').includes(typed))
  return begun.length === 1 ? begun[0] : undefined
}

/** Letters that were put in, left out, changed, or exchanged with their neighbour. */
function distance (one: string, two: string): number {
  const rows = [Array.from({ length: two.length + 1 }, (_, n) => n)]
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let row = 1; row <= one.length; row++) {
    const next = [row]
    rows.push(next)
    for (let column = 1; column <= two.length; column++) {
      const isSame = one[row - 1] === two[column - 1]
      const isSwapped = one[row - 1] === two[column - 2] && one[row - 2] === two[column - 1]
      next.push(Math.min(at(row - 1, column) + 1, at(row, column - 1) + 1, at(row - 1, column - 1) + (isSame ? 0 : 1), isSwapped ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY))
    }
  }
  return at(one.length, two.length)
}
