// What of this repository is to be found again elsewhere.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

/** The files of a directory, relative to the root, whose names end so; none where there is no such directory. */
export function textsIn (directory: string, ending: RegExp): string[] {
  try {
    return readdirSync(join(ROOT, directory)).filter((file) => ending.test(file)).map((file) => readFileSync(join(ROOT, directory, file), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
