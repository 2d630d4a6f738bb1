// The raw files of a store: what somebody finds who takes the disk.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Paths of the files below `directory` that hold `text` anywhere, as it is. A file that goes meanwhile holds nothing. */
export function filesHolding (directory: string, text: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name)).filter((path) => {
    try {
      return readFileSync(path).includes(text)
    } catch {
      return false
    }
  })
}
