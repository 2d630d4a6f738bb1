// Room where Klaim writes: a full disk stops the ledger, the book or the backups.
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { defineCheck, no, ok, Unseen, type Finding } from './check.ts'

const GIB = 1024 ** 3
const FREE_BYTES_MIN = GIB
const FREE_SHARE_MIN = 0.1

export const diskBook = defineCheck('disk-book', ['BOOK_FILE'], async (_, { BOOK_FILE }) => await lookAt(dirname(BOOK_FILE)))
export const diskBackups = defineCheck('disk-backups', ['BACKUP_DIRECTORY'], async (_, { BACKUP_DIRECTORY }) => await lookAt(BACKUP_DIRECTORY))
export const diskNats = defineCheck('disk-nats', ['NATS_STORE_DIRECTORY'], async (_, { NATS_STORE_DIRECTORY }) => await lookAt(NATS_STORE_DIRECTORY))

async function lookAt (path: string): Promise<Finding> {
  const { bsize, bavail, blocks } = await statfs(path).catch((error: NodeJS.ErrnoException) => { throw new Unseen(`${path} cannot be looked at (${error.code ?? 'unknown'})`) })
  return judgeSpace(path, bavail * bsize, blocks * bsize)
}

export function judgeSpace (path: string, freeBytes: number, allBytes: number): Finding {
  const share = freeBytes / allBytes
  const said = `${path} has ${(freeBytes / GIB).toFixed(1)} GiB free, ${Math.floor(share * 100)} %`
  return freeBytes >= FREE_BYTES_MIN && share >= FREE_SHARE_MIN ? ok(said) : no(`${said}; 1 GiB and 10 % are needed`, 'make room')
}
