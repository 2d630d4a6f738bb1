// A secret in a file of its own: read only where nobody else can have read or written it.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'

/** `problem` continues a sentence that begins with the file's name, and shows nothing of its content. */
export type SecretRead = { readonly text: string } | { readonly problem: string }

const BYTES_MAX = 64 * 1024
/** A link is not followed (it may be turned at any time by who owns its directory), and a pipe is not waited for. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** One trailing newline is dropped. What is looked at is what is read: the file is opened once. */
export function readSecretFile (path: string, ownUid: number = process.geteuid?.() ?? 0): SecretRead {
  let file: number
  try {
    file = openSync(path, FLAGS)
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    return { problem: code === 'ELOOP' ? `is a symbolic link, not a file: ${path}` : `cannot be read (${code})` }
  }
  try {
    const found = fstatSync(file)
    const { mode, uid, size } = found
    if (!found.isFile()) return { problem: `is no ordinary file: ${path}` }
    if (uid !== ownUid && uid !== 0) return { problem: `belongs to another user: chown ${ownUid} ${path}` }
    if ((mode & 0o077) !== 0) return { problem: `can be read by others: chmod 600 ${path}` }
    if (size > BYTES_MAX) return { problem: `is larger than ${BYTES_MAX / 1024} KiB: ${path}` }
    const text = readFileSync(file, 'utf8').replace(/\n$/, '')
    return text === '' ? { problem: `is empty: ${path}` } : { text }
  } finally {
    closeSync(file)
  }
}
