/**
 * An answer of AWS that is not a success: `code` is what clients match on (`ValidationException`),
 * `message` is for people. Its status is 400 unless the protocol of the operation says otherwise.
 */
export class AwsError extends Error {
  override readonly name = 'AwsError'
  readonly code: string
  readonly status: number
  /** Members of the error shape besides the message, e.g. `OriginalStatusCode` of a ModelError. */
  readonly members: Record<string, string | number>

  constructor(
    code: string,
    message: string,
    options: { status?: number; cause?: unknown; members?: Record<string, string | number> } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.status = options.status ?? 400
    this.members = options.members ?? {}
  }
}

/** 400 `ValidationException`: the request cannot be carried out as it is. */
export function invalidRequest(message: string): AwsError {
  return new AwsError('ValidationException', message)
}

/** 400 `UnknownOperationException`, which names the operation. */
export function unknownOperation(name: string): AwsError {
  return new AwsError(
    'UnknownOperationException',
    `The operation ${name} is not served by this control plane; docs/sagemaker-local.md lists those that are.`,
  )
}
