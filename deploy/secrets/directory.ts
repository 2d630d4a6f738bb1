// The directory of secrets: one file each, which only its owner may read. A file is replaced whole or not at all, whatever happens meanwhile.
import { closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readSecretFile, type SecretRead } from '../../services/common/secret-file.ts'

export interface Directory {
  readonly path: string
  at (file: string): string
  has (file: string): boolean
  read (file: string): SecretRead
  /** The text of a file that must be there. */
  text (file: string): string
  write (file: string, text: string): void
  remove (file: string): void
  files (): readonly string[]
  /** Why others could get at what is in it; null where they cannot. */
  problem (): string | null
}

/** The value that is about to take a secret's place stands beside it while it is rotated. */
export const nextOf = (file: string): string => `${file}.next`

const ASIDE = '.new'

export function makeDirectory (path: string): Directory {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return openDirectory(path)
}

export function openDirectory (path: string): Directory {
  if (!existsSync(path)) throw new SecretsError(`there is no ${path}: scripts/secrets create ${path}`)
  // Root could write, but the services could not read what it wrote.
  const { uid } = statSync(path)
  if (uid !== (process.geteuid?.() ?? uid)) throw new SecretsError(`${path} belongs to user ${uid}: run this as that user`)
  const at = (file: string): string => join(path, file)
  const read = (file: string): SecretRead => readSecretFile(at(file))

  function sync (): void {
    const directory = openSync(path, constants.O_RDONLY)
    try { fsyncSync(directory) } finally { closeSync(directory) }
  }

  return {
    path, at, read,
    has: (file) => existsSync(at(file)),
    text: (file) => {
      const found = read(file)
      if ('problem' in found) throw new SecretsError(`${file} ${found.problem}`)
      return found.text
    },
    write: (file, text) => {
      const aside = at(`.${file}${ASIDE}`)
      // What an earlier run left may be readable by others.
      rmSync(aside, { force: true })
      const opened = openSync(aside, 'wx', 0o600)
      try {
        writeFileSync(opened, text)
        fsyncSync(opened)
      } finally {
        closeSync(opened)
      }
      renameSync(aside, at(file))
      sync()
    },
    remove: (file) => {
      rmSync(at(file), { force: true })
      sync()
    },
    files: () => readdirSync(path).filter((file) => !file.startsWith('.') && !file.endsWith(ASIDE)),
    problem: () => {
      const { mode } = statSync(path)
      return (mode & 0o077) === 0 ? null : `can be entered by others: chmod 700 ${path}`
    },
  }
}

/** What the operator is told; the message shows no secret. */
export class SecretsError extends Error {}
