// A full set of secrets: makes what is missing and keeps what is there.
import { randomBytes } from 'node:crypto'
import { SECRETS, secretOf, type Secret } from './catalogue.ts'
import { SecretsError, type Directory } from './directory.ts'
import { newSeed } from './nats-seed.ts'
import { keySet, keysOf, newKey, problemOfKeys, publicOf } from './login-keys.ts'

const BYTES = 32

export const randomSecret = (): string => randomBytes(BYTES).toString('hex')

/** Answers the files that were made. The panel's key is made on the panel, by a person; what is optional is given by one. */
export function createMissing (directory: Directory): string[] {
  const made: string[] = []
  const make = (file: string, text: string): void => {
    directory.write(file, text)
    made.push(file)
  }
  const privateFile = secretOf('LOGIN_PRIVATE_KEYS').file
  const publicFile = secretOf('LOGIN_PUBLIC_KEY').file
  for (const { variable, file, isOptional } of SECRETS as readonly Secret[]) {
    if (isOptional || variable === 'PANEL_KEY' || directory.has(file)) continue
    if (variable === 'LOGIN_PRIVATE_KEYS') {
      if (directory.has(publicFile)) throw new SecretsError(`${file} is missing while ${publicFile} is there: put it back, or remove ${publicFile}, and logins on their way with it`)
      make(file, keySet([newKey()]))
    } else if (variable === 'LOGIN_PUBLIC_KEY') {
      const set = directory.text(privateFile)
      const problem = problemOfKeys(set)
      const newest = problem === null ? keysOf(set).at(-1) : undefined
      if (!newest) throw new SecretsError(`${privateFile} ${problem}`)
      make(file, JSON.stringify(publicOf(newest)))
    } else {
      make(file, variable === 'NATS_NKEY_SEED' ? newSeed() : randomSecret())
    }
  }
  return made
}
