import type { Knobs } from './knobs.ts'
import type { State } from './state.ts'
import type { Transformers } from './transformers.ts'
import type { Wings } from './wings.ts'

/** What every group of routes is given. */
export interface PanelContext { state: State, knobs: Knobs, transform: Transformers, wings: Wings }
