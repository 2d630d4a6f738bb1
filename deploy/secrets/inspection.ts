// Is a directory of secrets as it has to be: all there, readable by nobody else, fitting one another, and nothing else in it?
import { SECRETS, type Secret } from './catalogue.ts'
import { nextOf, type Directory } from './directory.ts'
import { previousOf } from './nats-keys.ts'

export interface Inspected {
  /** A file of it, or the directory itself. */
  readonly what: string
  /** Continues the sentence that begins with it, and shows nothing of its content; null where nothing is wrong. */
  readonly problem: string | null
  readonly isRotated: boolean
}

const ALL: readonly Secret[] = SECRETS

export function inspect (directory: Directory): Inspected[] {
  const read = (variable: string): string | undefined => {
    const found = directory.read(ALL.find((secret) => secret.variable === variable)?.file ?? '')
    return 'text' in found ? found.text : undefined
  }
  const known = ALL.flatMap(({ file }) => [file, nextOf(file), ...(file.endsWith('.nk') ? [previousOf(file)] : [])])
  return [
    ...[directory.problem()].filter((problem) => problem !== null).map((problem) => ({ what: directory.path, problem, isRotated: false })),
    ...ALL.filter(({ file, isOptional }) => !isOptional || directory.has(file)).map(({ file, problem }) => {
      const found = directory.read(file)
      return { what: file, problem: 'problem' in found ? found.problem : problem(found.text, read), isRotated: directory.has(nextOf(file)) }
    }),
    ...directory.files().filter((file) => !known.includes(file)).map((file) => ({ what: file, problem: 'is none of ours: move it away', isRotated: false })),
  ]
}
