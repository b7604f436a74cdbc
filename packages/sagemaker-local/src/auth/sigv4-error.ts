/** The codes of S3 with those of the JSON and query protocols for the same refusal. */
const CODES = {
  AccessDenied: 'MissingAuthenticationTokenException',
  AuthorizationHeaderMalformed: 'IncompleteSignatureException',
  AuthorizationQueryParametersError: 'IncompleteSignatureException',
  ExpiredToken: 'ExpiredTokenException',
  InvalidAccessKeyId: 'UnrecognizedClientException',
  InvalidRequest: 'IncompleteSignatureException',
  InvalidToken: 'UnrecognizedClientException',
  NotImplemented: 'IncompleteSignatureException',
  RequestTimeTooSkewed: 'InvalidSignatureException',
  SignatureDoesNotMatch: 'InvalidSignatureException',
  XAmzContentSHA256Mismatch: 'InvalidSignatureException',
} as const

export type SigV4ErrorCode = keyof typeof CODES

/** Why a signature is refused, in the words of S3 (`code`) and of other services (`jsonCode`). */
export class SigV4Error extends Error {
  override readonly name = 'SigV4Error'
  readonly code: SigV4ErrorCode
  /** For a person who looks for the difference; nothing secret. */
  readonly details: Record<string, string>

  constructor(code: SigV4ErrorCode, message: string, details: Record<string, string> = {}) {
    super(message)
    this.code = code
    this.details = details
  }

  get jsonCode(): string {
    return CODES[this.code]
  }
}
