import { ApiError, type ErrorCode } from '@millrace/api/errors'

/**
 * What to do about a failed call to AWS, in one sentence; other errors as they are.
 *
 * @param right what the caller lacks when he is refused, such as `ecr:CreateRepository`
 */
export function toAwsAdvice(error: unknown, right: string): unknown {
  if (!(error instanceof Error) || error instanceof ApiError) return error
  const because = (code: ErrorCode, text: string) => new ApiError(code, text, { cause: error })
  if (error.name === 'CredentialsProviderError') {
    return because(
      'UNAUTHENTICATED',
      'There are no AWS credentials: sign in (aws sso login), name a profile in AWS_PROFILE, or run where a role is',
    )
  }
  if (/ExpiredToken|InvalidClientTokenId|UnrecognizedClient/.test(error.name)) {
    return because(
      'UNAUTHENTICATED',
      `AWS does not take these credentials (${error.name}): sign in again`,
    )
  }
  if (/Region is missing/.test(error.message)) {
    return because('INVALID_STATE', 'No AWS region is set: set AWS_REGION, such as eu-central-1')
  }
  if (/AccessDenied|UnauthorizedException/.test(error.name)) {
    return because(
      'PERMISSION_DENIED',
      `AWS refused: the caller lacks ${right} (${error.message}); 'millrace aws print-policy' prints what is needed`,
    )
  }
  if (/ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT/.test(`${'code' in error && error.code}`)) {
    return because(
      'TEMPORARILY_UNAVAILABLE',
      `AWS cannot be reached (${error.message}): check the network, or AWS_ENDPOINT_URL if another AWS is meant`,
    )
  }
  return error
}
