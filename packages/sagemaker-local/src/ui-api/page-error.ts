import type { ErrorCode } from '@millrace/api/errors'
import { AwsError } from '../http/aws-error.ts'

/** How a refusal is told to the pages, which know the codes of the tracking server. */
export interface PageError {
  status: number
  error_code: ErrorCode
  message: string
}

const NOT_FOUND = 'PageNotFound'

export function noSuch(what: string, name: string): AwsError {
  return new AwsError(NOT_FOUND, `There is no ${what} '${name}'.`, { status: 404 })
}

export function pageErrorOf({ code, status, message }: AwsError): PageError {
  if (code === NOT_FOUND) return { status, error_code: 'RESOURCE_DOES_NOT_EXIST', message }
  if (status === 403) return { status, error_code: 'PERMISSION_DENIED', message }
  if (status === 503) return { status, error_code: 'TEMPORARILY_UNAVAILABLE', message }
  if (status >= 500) return { status: 500, error_code: 'INTERNAL_ERROR', message }
  if (code === 'ResourceInUse') return { status: 409, error_code: 'RESOURCE_CONFLICT', message }
  return { status: 400, error_code: 'INVALID_PARAMETER_VALUE', message }
}
