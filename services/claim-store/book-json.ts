// The book as claims.json: always all of it. Entries are text already, so this costs a join and not a serialisation.
import { asideOf, unlinkIfThere, writeWhole } from './book-file.ts'
import type { Keeping } from './book-keeping.ts'

export function createJsonBook (place: string): Keeping {
  return {
    write: async ({ lines, head: { sequence, written_at: writtenAt, seal } }) => {
      const text = `{"version":1,"sequence":${sequence},"written_at":"${writtenAt}","seal":"${seal}","claims":[\n${[...lines.values()].join(',\n')}\n]}\n`
      await writeWhole(place, text)
      return Buffer.byteLength(text)
    },
    remove: async () => {
      await unlinkIfThere(place)
      await unlinkIfThere(asideOf(place))
    },
    close: async () => {},
  }
}
