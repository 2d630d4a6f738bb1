/** The account on the bot's phone: WhatsApp bans it, and its owner puts another number in. */
import { closeConnections } from './closing.ts'
import type { Double } from './double.ts'
import type { Person } from './world.ts'

/** For ever: its devices are thrown out, and let in no more. */
export function banAccount (double: Double): void {
  const { world } = double
  if (!world.banned.includes(world.bot)) world.banned.push(world.bot)
  closeConnections(double, 406)
}

/** From now on the phone links devices of this account. It has no chat with anybody yet, and is in the groups that the person is in. */
export function takeAccount (double: Double, person: Person): void {
  const { world } = double
  if (world.bot === person.lid) return
  closeConnections(double, 428)
  Object.assign(world, { bot: person.lid, companions: [], chats: {} })
  for (const each of world.people) delete each.token
  double.changed()
}
