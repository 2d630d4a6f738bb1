// Whose panel account is it? Accounts are told apart by what only the API can write: the external id, which is the member's JID.
// The e-mail is ours by derivation, but its owner can change it on the panel. User names prove nothing.

/** Who a claim is for. */
export interface Identity {
  readonly memberId: string
  /** A secret: it is a phone number. */
  readonly waJid: string
  readonly email: string
}

export interface Account {
  readonly id: number
  readonly external_id: string | null
  readonly username: string
  readonly email: string
  readonly first_name: string
  readonly last_name: string
  readonly root_admin: boolean
}

export const emailOf = (memberId: string, domain: string): string => `${memberId}@${domain}`

/**
 * Exact comparison only: the panel's filters match parts, and its database takes upper for lower case and one accent for another.
 * An administrator is never ours, whatever its ids say.
 */
export function isOurs (account: Account, { waJid, email }: Identity): boolean {
  if (account.root_admin) return false
  return account.external_id === waJid || (account.external_id === null && account.email === email)
}

/** Stands in the way of ours: it holds our address or our external id, and is not ours. */
export function isConflict (account: Account, identity: Identity): boolean {
  return !isOurs(account, identity) && (account.email === identity.email || account.external_id === identity.waJid)
}

const NAME_LENGTH_MAX = 60

/** The names to try in turn: the chosen one, then with a suffix that is the member's. The panel stores names in lower case. */
export function usernamesOf (chosen: string, memberId: string): string[] {
  const name = chosen.toLowerCase()
  return [name, ...[4, 8, 20].map((length) => `${name.slice(0, NAME_LENGTH_MAX - length - 1)}-${memberId.slice(0, length)}`)]
}
