// Taking things away from the panel. Deleting the wrong server is the worst this service could do, so nothing is deleted by number alone:
// the server must carry the claim's id, and the account the member's.
import { transient } from '../common/fault.ts'
import { isOurs, type Account, type Identity } from './identity.ts'
import type { PanelServer, Pterodactyl } from './pterodactyl.ts'

export interface Removal {
  /**
   * Resolves when the panel has no server of this claim, with the one that was removed. Throws transient Faults for days if need be:
   * a node that is down keeps its server, and forcing the panel would leave the container running on a port that is given out again.
   * `beforeSend` runs right before the deletion goes out; what it throws cancels it.
   */
  server (claimId: string, known: { readonly serverId: number | undefined, readonly userId: number | undefined }, signal: AbortSignal, beforeSend?: () => Promise<void>): Promise<PanelServer | null>
  /** True when the account is gone; false where it stays, because it still owns something or is not provably the member's. */
  user (identity: Identity, userId: number | undefined, signal: AbortSignal, beforeSend?: () => Promise<void>): Promise<boolean>
}

export function createRemoval (panel: Pterodactyl): Removal {
  async function find (claimId: string, serverId: number | undefined, userId: number | undefined, signal: AbortSignal): Promise<PanelServer | null> {
    const named = await panel.serverOfClaim(claimId, 'delete', signal)
    if (named || serverId === undefined) return named
    // An administrator who edits a server over the API easily drops its external id: leaving it out clears it (panel 1.11.8).
    const numbered = await panel.server(serverId, 'delete', signal)
    return numbered?.externalId === null && numbered.userId === userId ? numbered : null
  }

  async function account (identity: Identity, userId: number | undefined, signal: AbortSignal): Promise<Account | null> {
    if (userId !== undefined) return await panel.user(userId, 'delete', signal)
    try {
      return await panel.findUser(identity, 'delete', signal)
    } catch (error) {
      if ((error as { code?: unknown }).code === 'IDENTITY_CONFLICT') return null
      throw error
    }
  }

  return {
    server: async (claimId, { serverId, userId }, signal, beforeSend) => {
      const server = await find(claimId, serverId, userId, signal)
      if (!server) return null
      await panel.deleteServer(server.id, signal, beforeSend)
      if (await panel.server(server.id, 'delete', signal)) throw transient('PANEL_DOWN', 'the panel said that it deleted a server, and still has it')
      return server
    },
    user: async (identity, userId, signal, beforeSend) => {
      const found = await account(identity, userId, signal)
      if (!found) return true
      if (!isOurs(found, identity)) return false
      return await panel.deleteUser(found.id, signal, beforeSend) === 'gone'
    },
  }
}
