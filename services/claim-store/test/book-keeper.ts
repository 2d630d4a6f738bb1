// A process that keeps a book, for tests that kill it: notes the claims it is told over IPC, and says when a batch is on the disk.
import { argv } from 'node:process'
import { createLog } from '../../common/log.ts'
import { openBook } from '../book.ts'
import { entry } from './books.ts'

const [, , path = '', count = '0'] = argv
let sequence = 1
const book = await openBook({ path, log: createLog('claim-store', 'fatal'), everyMs: 10, believedMs: 1e12, now: () => new Date(), sequence: () => sequence })
for (const { claim_id, wa_jid } of book.loaded?.claims ?? []) book.note(entry(0, { claim_id, wa_jid }))
if (!book.loaded) for (let n = 0; n < Number(count); n++) book.note(entry(n))
sequence = (book.loaded?.sequence ?? 1) + 1
await book.flush()
process.send?.('ready')
