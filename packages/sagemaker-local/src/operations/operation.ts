import type { z } from 'zod'
import type { PlaneSettings } from '../plane-settings.ts'
import type { ImageStore } from '../registry/image-store.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import type { State } from '../state/open-state.ts'

/** What an operation works with. */
export interface OperationContext {
  settings: PlaneSettings
  state: State
  objects: ObjectStore
  images: ImageStore
  /** Of the request: its credential scope's, else the plane's own. */
  region: string
  accessKeyId: string | undefined
  /** What the client says it is. */
  userAgent: string
}

/** Services whose operations come as one JSON document, by the first part of `X-Amz-Target`. */
export const JSON_SERVICES = {
  SageMaker: 'SageMaker',
  Logs: 'Logs_20140328',
  ECR: 'AmazonEC2ContainerRegistry_V20150921',
  CloudWatch: 'GraniteServiceVersion20100801',
} as const

/** What requests to a service are signed for. */
export const SIGNING_NAMES = {
  SageMaker: 'sagemaker',
  Logs: 'logs',
  ECR: 'ecr',
  CloudWatch: 'monitoring',
  STS: 'sts',
  IAM: 'iam',
} as const

/** Services whose operations come as a form with an `Action`; CloudWatch is asked in either way. */
export type QueryService = 'STS' | 'IAM' | 'CloudWatch'

/**
 * One operation of AWS. `input` is what AWS would accept: its refusals are told in AWS's words
 * (`http/validation.ts`). `run` returns the answer's members, or nothing for an empty answer.
 */
export interface Operation<Input extends z.ZodType = z.ZodType> {
  service: keyof typeof JSON_SERVICES | QueryService
  name: string
  input: Input
  run(
    context: OperationContext,
    input: z.output<Input>,
  ): object | undefined | Promise<object | undefined>
}

/** An operation with its input's type forgotten, for lists of operations. */
export type AnyOperation = Omit<Operation, 'run'> & {
  run(context: OperationContext, input: never): object | undefined | Promise<object | undefined>
}

/** Ties the type of `run` to the schema of `input`. */
export function operation<Input extends z.ZodType>(entry: Operation<Input>): Operation<Input> {
  return entry
}

/** A request of a REST-JSON service, which carries its body as it is. */
export interface RestRequest {
  /** Of the path, decoded. */
  params: Record<string, string>
  query: URLSearchParams
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  /** Aborted when the client has gone. */
  signal: AbortSignal
}

export interface RestAnswer {
  status: number
  headers: Record<string, string>
  body: Buffer | NodeJS.ReadableStream | string
}

/** One operation of a REST-JSON service: `/endpoints/:EndpointName/invocations` and the like. */
export interface RestOperation {
  name: string
  method: 'GET' | 'POST'
  path: `/${string}`
  bodyBytesMax: number
  run(context: OperationContext, request: RestRequest): Promise<RestAnswer>
}
