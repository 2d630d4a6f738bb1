// Taking things away from the panel. Deleting the wrong server is the worst this service could do, so nothing is deleted by number alone:
// the server must carry the claim's id, and the account the member's, in a look that is young when the deletion goes out.
import { transient } from '../common/fault.ts'
import { lookedAt, whileYoung, type Ask, type DeletionLooks, type Look } from './deletion-looks.ts'
import { isOurs, type Account, type Identity } from './identity.ts'
import type { PanelServer, Pterodactyl } from './pterodactyl.ts'

export interface Known { readonly serverId: number | undefined, readonly userId: number | undefined }

export interface Removal {
  /**
   * Resolves when the panel has no server of this claim, with the one that was removed. Throws transient Faults for days if need be:
   * a node that is down keeps its server, and forcing the panel would leave the container running on a port that is given out again.
   * `beforeSend` runs right before the deletion goes out; what it throws cancels it.
   */
  server (claimId: string, known: Known, signal: AbortSignal, beforeSend?: () => Promise<void>): Promise<PanelServer | null>
  /** True when the account is gone; false where it stays, because it still owns something or is not provably the member's. */
  user (identity: Identity, userId: number | undefined, signal: AbortSignal, beforeSend?: () => Promise<void>): Promise<boolean>
  /** Both, as one after the other, by a look that is shared with all who do this at the same time: two calls each, and one for a hundred. */
  both (claimId: string, identity: Identity, known: { readonly serverId: number, readonly userId: number }, signal: AbortSignal): Promise<{ userDeleted: boolean }>
}

export interface RemovalOptions { readonly panel: Pterodactyl, readonly looks: DeletionLooks, readonly now: () => number }

export function createRemoval ({ panel, looks, now }: RemovalOptions): Removal {
  const look = async <Seen>(ask: Ask<Seen>): Promise<Look<Seen>> => await lookedAt(ask, now)

  async function lookForServer (claimId: string, { serverId, userId }: Known, signal: AbortSignal): Promise<Look<PanelServer | null>> {
    const named = await look(async (onSend) => await panel.serverOfClaim(claimId, 'delete', signal, onSend))
    if (named.seen || serverId === undefined) return named
    // An administrator who edits a server over the API easily drops its external id: leaving it out clears it (panel 1.11.8).
    const { at, seen } = await look(async (onSend) => await panel.server(serverId, 'delete', signal, onSend))
    return { at, seen: seen?.externalId === null && seen.userId === userId ? seen : null }
  }

  async function account (identity: Identity, userId: number | undefined, signal: AbortSignal, onSend: () => Promise<void>): Promise<Account | null> {
    if (userId !== undefined) return await panel.user(userId, 'delete', signal, onSend)
    try {
      return await panel.findUser(identity, 'delete', signal, onSend)
    } catch (error) {
      if ((error as { code?: unknown }).code === 'IDENTITY_CONFLICT') return null
      throw error
    }
  }

  async function checkGone ({ id }: PanelServer, signal: AbortSignal): Promise<void> {
    if (await panel.server(id, 'delete', signal)) throw transient('PANEL_DOWN', 'the panel said that it deleted a server, and still has it')
  }

  async function server (claimId: string, known: Known, signal: AbortSignal, beforeSend?: () => Promise<void>): Promise<PanelServer | null> {
    return await whileYoung(async () => await lookForServer(claimId, known, signal), now, async ({ seen }, stillYoung) => {
      if (!seen) return null
      await panel.deleteServer(seen.id, signal, async () => {
        await beforeSend?.()
        await stillYoung()
      })
      await checkGone(seen, signal)
      return seen
    })
  }

  /** `first`: what was seen already, if anything. */
  async function user (identity: Identity, userId: number | undefined, signal: AbortSignal, beforeSend?: () => Promise<void>, first?: Look<Account>): Promise<boolean> {
    let known: Look<Account | null> | undefined = first
    const next = async (): Promise<Look<Account | null>> => {
      const seen = known ?? await look(async (onSend) => await account(identity, userId, signal, onSend))
      known = undefined
      return seen
    }
    return await whileYoung(next, now, async ({ seen }, stillYoung) => {
      if (!seen) return true
      if (!isOurs(seen, identity)) return false
      return await panel.deleteUser(seen.id, signal, async () => {
        await beforeSend?.()
        await stillYoung()
      }) === 'gone'
    })
  }

  return {
    server,
    user: async (identity, userId, signal, beforeSend) => await user(identity, userId, signal, beforeSend),
    both: async (claimId, identity, { serverId, userId }, signal) => await looks.inTurn(claimId, signal, async (listed) => {
      const { at, seen } = await whileYoung(listed, now, async (one, stillYoung) => {
        if (one.seen) await panel.deleteServer(one.seen.server.id, signal, stillYoung)
        return one
      })
      // What the list does not show is looked for by itself.
      if (!seen) await server(claimId, { serverId, userId }, signal)
      const userDeleted = await user(identity, userId, signal, undefined, seen?.owner?.id === userId ? { at, seen: seen.owner } : undefined)
      // An account that is gone owned no server any more: the panel keeps those that do. Of others the server is looked for once more.
      if (seen && !(userDeleted && seen.server.userId === userId)) await checkGone(seen.server, signal)
      return { userDeleted }
    }),
  }
}
