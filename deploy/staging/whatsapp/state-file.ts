/** Keeps the world in a file, so that a killed double comes back knowing what it knew. */
import { existsSync, readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { BufferJSON } from '@whiskeysockets/baileys'
import { createWorld, type Seed, type World } from './world.ts'

export interface StateFile {
  world: World
  /** Resolves when everything changed before the call is on disk; many calls share one write. */
  save: () => Promise<void>
}

/** Without a path the world lives in memory only. A file that cannot be read is an error, not an empty world. */
export function openState (path: string | undefined, seed: Seed): StateFile {
  return path === undefined ? { world: createWorld(seed), save: () => Promise.resolve() } : openFile(path, seed)
}

function openFile (path: string, seed: Seed): StateFile {
  // The file is this double's own; a damaged one fails to parse. One from before accounts could be banned says nothing of it.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const world = existsSync(path) ? { banned: [], ...JSON.parse(readFileSync(path, 'utf8'), BufferJSON.reviver) as Omit<World, 'banned'> } : createWorld(seed)
  let writing: Promise<void> | undefined
  let next: Promise<void> | undefined

  async function write () {
    // Written aside and renamed: a kill leaves the old file or the new one, never half of one.
    await writeFile(`${path}.new`, JSON.stringify(world, BufferJSON.replacer), { mode: 0o600 })
    await rename(`${path}.new`, path)
  }
  function start (): Promise<void> {
    next = undefined
    writing = write().finally(() => { writing = undefined })
    return writing
  }
  return {
    world,
    save: () => next ??= writing ? writing.then(start, start) : Promise.resolve().then(start)
  }
}
