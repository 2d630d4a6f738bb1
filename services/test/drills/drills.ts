// Every drill, in an order in which none stands in another's way.
import { canaryDrills } from './canary.ts'
import { claimDrills } from './claims.ts'
import { deletionDrills } from './deletions.ts'
import type { Drill } from './drill.ts'
import { panelDrills } from './panel.ts'
import { serviceDrills } from './services.ts'
import { storageDrills } from './storage.ts'
import { whatsappDrills } from './whatsapp.ts'

const all = [...serviceDrills, ...claimDrills, ...canaryDrills, ...whatsappDrills, ...deletionDrills, ...panelDrills, ...storageDrills]
/** While claims fail in other drills too, too many do. Then what lasts longest. */
const FIRST = ['SloBurnSlow', 'DeletionOfPresentMember']
/** New ports are no sign that they run out. */
const LAST = ['AllocationsRunningLow', 'AllocationsRunningOut']
const rank = ({ alert }: Drill): number => FIRST.includes(alert) ? FIRST.indexOf(alert) - FIRST.length : LAST.indexOf(alert) + 1

export const DRILLS: readonly Drill[] = all.toSorted((one, other) => rank(one) - rank(other))
