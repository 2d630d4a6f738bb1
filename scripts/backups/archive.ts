// A directory as one file and back. Written aside and named when it is whole and on the disk; not a byte is believed before its checksums.
import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { validatorOf } from '../../services/common/envelope.ts'
import { permanent } from '../../services/common/fault.ts'
import { Manifest, MANIFEST, sha256Of } from './manifest.ts'

const run = promisify(execFile)
const TAR_MS_MAX = 3_600_000

export async function pack (directory: string, path: string): Promise<void> {
  await run('tar', ['--create', '--gzip', '--owner=0', '--group=0', '--file', path, '--directory', directory, '.'], { timeout: TAR_MS_MAX })
  await onDisk(path)
}

/** Unpacks into a new directory and checks every file against the manifest. Permanent Fault BACKUP_DAMAGED. */
export async function unpack (path: string, directory: string): Promise<Manifest> {
  await checkSum(path)
  await mkdir(directory, { mode: 0o700 })
  await run('tar', ['--extract', '--gzip', '--no-same-owner', '--file', path, '--directory', directory], { timeout: TAR_MS_MAX }).catch((error: unknown) => {
    throw permanent('BACKUP_DAMAGED', `${basename(path)} cannot be unpacked`, { cause: error })
  })
  const manifest = await readManifest(directory)
  const named = [MANIFEST, ...manifest.files.map((file) => file.path)].toSorted()
  if (JSON.stringify((await readdir(directory)).toSorted()) !== JSON.stringify(named)) throw permanent('BACKUP_DAMAGED', 'the backup holds other files than its manifest names')
  for (const { path: name, bytes, sha256 } of manifest.files) {
    const stat = await lstat(join(directory, name))
    if (!stat.isFile() || stat.size !== bytes || await sha256Of(join(directory, name)) !== sha256) throw permanent('BACKUP_DAMAGED', `${name} is not what the manifest says`)
  }
  return manifest
}

/** As sha256sum writes and reads it. */
export async function writeSum (path: string, name: string): Promise<void> {
  await writeFile(`${path}.sha256`, `${await sha256Of(path)}  ${name}\n`, { mode: 0o600 })
  await onDisk(`${path}.sha256`)
}

/** A backup that is still being verified has none beside it. */
async function checkSum (path: string): Promise<void> {
  const text = await readFile(`${path}.sha256`, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  })
  if (text !== null && text.slice(0, 64) !== await sha256Of(path)) throw permanent('BACKUP_DAMAGED', `${basename(path)} is not what its .sha256 says`)
}

async function readManifest (directory: string): Promise<Manifest> {
  let manifest: unknown
  try {
    manifest = JSON.parse(await readFile(join(directory, MANIFEST), 'utf8'))
  } catch (error) {
    throw permanent('BACKUP_DAMAGED', 'the backup has no manifest that can be read', { cause: error })
  }
  if (!validatorOf(Manifest).Check(manifest)) throw permanent('BACKUP_DAMAGED', 'the manifest is not one that this version knows')
  return manifest as Manifest
}

/** A file or directory is on the disk when this resolves. */
export async function onDisk (path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
