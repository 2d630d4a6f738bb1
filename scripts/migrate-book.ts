// scripts/migrate-book: has claim-store move its book. Only claim-store writes a book; this writes the wish, and looks (services/claim-store/book.ts).
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Type } from 'typebox'
import { BOOK_KINDS, kindAt, placesOf, readBook, wish, wishAt, type BookKind } from '../services/claim-store/book-file.ts'
import { Config as ClaimStoreConfig } from '../services/claim-store/config.ts'
import { withSettings } from './operating/settings.ts'

const Settings = Type.Object({ BOOK_FILE: ClaimStoreConfig.properties.BOOK_FILE })
const LOOK_EVERY_MS = 250
/** A keeper that has died is followed after 12 s; 100,000 claims take some seconds. */
const WAIT_MS_MAX = 60_000

const print = (line: string): void => { process.stdout.write(`${line}\n`) }

function kindOf (args: readonly string[]): BookKind | undefined {
  try {
    const { values } = parseArgs({ args: [...args], options: { to: { type: 'string' } } })
    return BOOK_KINDS.find((kind) => kind === values.to)
  } catch {
    return undefined
  }
}

async function hasMoved (path: string, to: BookKind): Promise<boolean> {
  return existsSync(placesOf(path)[to]) && await kindAt(path) === to && await wishAt(path) === undefined
}

async function migrate (path: string, to: BookKind): Promise<number> {
  if (await hasMoved(path, to)) {
    print(`${placesOf(path)[to]} is the book already; nothing to do.`)
    return 0
  }
  await wish(path, to)
  for (const until = performance.now() + WAIT_MS_MAX; !await hasMoved(path, to);) {
    if (performance.now() > until) {
      print(`The book has not moved yet. Is claim-store running, and what does its log say (BOOK_UNMOVED)? The wish stays: claim-store moves the book as soon as it can. Withdraw it: rm ${placesOf(path).wish}`)
      return 1
    }
    await delay(LOOK_EVERY_MS)
  }
  const reading = await readBook(path)
  if (reading.state !== 'whole') {
    print(`The book has moved and is ${reading.state}: see its place in RUNBOOK.md.`)
    return 1
  }
  print(`✓ ${placesOf(path)[to]} is the book: ${reading.book.claims.length} claims, every event up to ${reading.book.sequence}.`)
  return 0
}

async function main (args: readonly string[]): Promise<number> {
  const to = kindOf(args)
  if (!to) {
    print('Usage: scripts/migrate-book --to sqlite|json')
    return 64
  }
  return await withSettings(Settings, process.env, print, async ({ BOOK_FILE }) => await migrate(BOOK_FILE, to))
}

process.exitCode = await main(process.argv.slice(2))
