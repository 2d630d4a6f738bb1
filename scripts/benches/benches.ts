// Every row of docs/performance.md.
import { accepted } from './accepted.ts'
import { baseline } from './baseline.ts'
import type { Bench } from './bench.ts'
import { bot } from './bot.ts'
import { capacity } from './capacity.ts'
import { ledger, ledgerMillion } from './ledger.ts'
import { memory } from './memory.ts'
import { pending } from './pending.ts'
import { pipeline } from './pipeline.ts'
import { panel, spike50, spike500 } from './spike.ts'
import { start } from './start.ts'

export const BENCHES: readonly Bench[] = [accepted, pipeline, spike50, ledger, start, spike500, panel, memory, pending, bot, ledgerMillion, capacity, baseline]
