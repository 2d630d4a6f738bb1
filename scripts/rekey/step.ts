/** Called after everything that was done; what it throws ends the run there. */
export type Step = (what: string) => Promise<void>

/** Why it cannot be done now, for the operator. */
export class RekeyRefused extends Error {}
