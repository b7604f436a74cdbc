import { type AwsError, invalidRequest } from '../http/aws-error.ts'
import { findResource, type Resource, type ResourceKind } from '../state/resource-store.ts'
import type { OperationContext } from './operation.ts'
import { resourceArn } from './resource-names.ts'

const WORDS = {
  model: 'model',
  endpoint: 'endpoint',
  'endpoint-config': 'endpoint configuration',
} as const

type Named = keyof typeof WORDS & ResourceKind

/**
 * A model, an endpoint or a configuration by its name.
 *
 * @throws AwsError ValidationException in the words that the SDKs look for
 */
export function getResource<Document, Progress>(
  context: OperationContext,
  kind: Named,
  name: string,
): Resource<Document, Progress> {
  const resource = findResource<Document, Progress>(context.state, kind, name)
  if (resource) return resource
  throw invalidRequest(`Could not find ${WORDS[kind]} "${resourceArn(context, kind, name)}".`)
}

/** The refusal of a name that is taken; the SageMaker SDK goes on with the one that is there. */
export function alreadyExisting(kind: Named, arn: string): AwsError {
  return invalidRequest(`Cannot create already existing ${WORDS[kind]} "${arn}".`)
}
