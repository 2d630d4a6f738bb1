import type { CanaryCode } from '../../contracts/codes.ts'

/** The canary did not come through. `detail`: another code that says more. Neither holds anything of the number. */
export class CanaryFailure extends Error {
  override readonly name = 'CanaryFailure'
  readonly code: CanaryCode
  readonly detail: string | undefined

  constructor (code: CanaryCode, detail?: string) {
    super(detail === undefined ? code : `${code} (${detail})`)
    this.code = code
    this.detail = detail
  }
}

/** It was kept from its work on purpose, so nothing is known to be wrong. */
export class HeldBack extends Error {
  override readonly name = 'HeldBack'
  readonly code: 'CLAIMS_CLOSED' | 'BRAKE_ON'

  constructor (code: HeldBack['code']) {
    super(code)
    this.code = code
  }
}
