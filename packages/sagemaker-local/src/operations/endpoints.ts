import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import {
  ENDPOINT_STATUSES,
  type Endpoint,
  type EndpointDocument,
  type EndpointProgress,
  type Fleet,
  findEndpoint,
  isInProgress,
  newFleet,
  updateEndpoint,
} from '../endpoints/endpoint.ts'
import { type AwsError, invalidRequest } from '../http/aws-error.ts'
import { findResource, insertResource } from '../state/resource-store.ts'
import { upsertTags } from '../state/tag-store.ts'
import { enqueueTask } from '../state/task-store.ts'
import { alreadyExisting, getResource } from './absent-resource.ts'
import type { EndpointConfigDocument } from './endpoint-config-input.ts'
import { faultsOf } from './insert-job.ts'
import { listOperation } from './list-operation.ts'
import type { ModelDocument } from './model-input.ts'
import { type OperationContext, operation } from './operation.ts'
import { ResourceName, resourceArn, seconds, Tags } from './resource-names.ts'

/** The SageMaker SDK sleeps for half a minute between two looks at an endpoint. */
const SDK_WAIT_MS = 25_000
const SDK_LOOK_MS = 50

const ByName = z.object({ EndpointName: ResourceName() })

export const endpointOperations = [
  operation({
    service: 'SageMaker',
    name: 'CreateEndpoint',
    input: z.looseObject({
      EndpointName: ResourceName(),
      EndpointConfigName: ResourceName(),
      Tags: Tags.optional(),
    }),
    run(context, input) {
      const { state } = context
      const name = input.EndpointName
      const arn = resourceArn(context, 'endpoint', name)
      const tags = input.Tags ?? []
      const nowMs = Date.now()
      const now = seconds(nowMs)
      state.transaction(() => {
        const next = fleetOf(context, input.EndpointConfigName, 1)
        const isNew = insertResource(state, {
          kind: 'endpoint',
          name,
          arn,
          status: 'Creating',
          createdMs: nowMs,
          modifiedMs: nowMs,
          document: {
            EndpointName: name,
            EndpointArn: arn,
            EndpointConfigName: input.EndpointConfigName,
            EndpointStatus: 'Creating',
            CreationTime: now,
            LastModifiedTime: now,
          } satisfies EndpointDocument,
          progress: { next, faults: faultsOf(tags) } satisfies EndpointProgress,
        })
        if (!isNew) throw alreadyExisting('endpoint', arn)
        upsertTags(state, arn, tags)
        enqueueTask(state, { kind: 'endpoint', name, places: 0 })
      })
      return { EndpointArn: arn }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DescribeEndpoint',
    input: ByName,
    async run(context, { EndpointName }) {
      const isSdk = context.userAgent.includes('AWS-SageMaker-Python-SDK/')
      const untilMs = Date.now() + (isSdk ? SDK_WAIT_MS : 0)
      for (;;) {
        const endpoint = getEndpoint(context, EndpointName)
        const isOver = !isInProgress(endpoint) || endpoint.document.EndpointStatus === 'Deleting'
        if (isOver || Date.now() >= untilMs) return endpoint.document
        await wait(SDK_LOOK_MS)
      }
    },
  }),
  listOperation<EndpointDocument>({
    name: 'ListEndpoints',
    kind: 'endpoint',
    statuses: ENDPOINT_STATUSES,
    member: 'Endpoints',
    summaryOf: ({ document }) => ({
      EndpointName: document.EndpointName,
      EndpointArn: document.EndpointArn,
      CreationTime: document.CreationTime,
      LastModifiedTime: document.LastModifiedTime,
      EndpointStatus: document.EndpointStatus,
    }),
  }),
  operation({
    service: 'SageMaker',
    name: 'UpdateEndpoint',
    input: z.looseObject({
      EndpointName: ResourceName(),
      EndpointConfigName: ResourceName(),
      RetainAllVariantProperties: z.boolean().optional(),
      ExcludeRetainedVariantProperties: z
        .array(
          z.object({
            VariantPropertyType: z.enum([
              'DesiredInstanceCount',
              'DesiredWeight',
              'DataCaptureConfig',
            ]),
          }),
        )
        .max(3)
        .optional(),
    }),
    run(context, input) {
      getEndpoint(context, input.EndpointName)
      const excluded = (input.ExcludeRetainedVariantProperties ?? []).map(
        ({ VariantPropertyType }) => VariantPropertyType,
      )
      const endpoint = updateEndpoint(context.state, input.EndpointName, (endpoint) => {
        refuseInProgress(endpoint)
        const { document, progress } = endpoint
        const number = (progress.current?.number ?? progress.next?.number ?? 0) + 1
        const next = fleetOf(context, input.EndpointConfigName, number)
        if (input.RetainAllVariantProperties === true) retain(next, progress.current, excluded)
        progress.next = next
        document.EndpointStatus = progress.current ? 'Updating' : 'Creating'
        delete document.FailureReason
      })
      return { EndpointArn: endpoint?.arn }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'UpdateEndpointWeightsAndCapacities',
    input: z.looseObject({
      EndpointName: ResourceName(),
      DesiredWeightsAndCapacities: z
        .array(
          z.looseObject({
            VariantName: ResourceName(),
            DesiredWeight: z.number().min(0).optional(),
            DesiredInstanceCount: z.int32().min(0).optional(),
          }),
        )
        .min(1),
    }),
    run(context, input) {
      getEndpoint(context, input.EndpointName)
      const endpoint = updateEndpoint(context.state, input.EndpointName, (endpoint) => {
        refuseInProgress(endpoint)
        const { document, progress } = endpoint
        for (const wanted of input.DesiredWeightsAndCapacities) {
          const known = progress.current?.variants.find(
            ({ variant }) => variant.VariantName === wanted.VariantName,
          )
          if (!known) {
            throw invalidRequest(
              `The variant name(s) "${wanted.VariantName}" is/are not present within endpoint configuration ` +
                `"${document.EndpointConfigName}".`,
            )
          }
          known.weight = wanted.DesiredWeight ?? known.weight
          if (known.count !== (wanted.DesiredInstanceCount ?? known.count)) {
            known.count = wanted.DesiredInstanceCount ?? known.count
            document.EndpointStatus = 'Updating'
          }
        }
        delete document.FailureReason
      })
      return { EndpointArn: endpoint?.arn }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DeleteEndpoint',
    input: ByName,
    run(context, { EndpointName }) {
      getEndpoint(context, EndpointName)
      updateEndpoint(context.state, EndpointName, (endpoint) => {
        refuseInProgress(endpoint)
        endpoint.document.EndpointStatus = 'Deleting'
      })
      return undefined
    },
  }),
]

function getEndpoint(context: OperationContext, name: string): Endpoint {
  return findEndpoint(context.state, name) ?? getResource(context, 'endpoint', name)
}

function refuseInProgress(endpoint: Endpoint): void {
  if (isInProgress(endpoint)) throw inProgress(endpoint)
}

function inProgress({ arn, document }: Endpoint): AwsError {
  return invalidRequest(
    `Cannot update in-progress endpoint "${arn}". It is ${document.EndpointStatus}: wait until it is InService or Failed.`,
  )
}

function fleetOf(context: OperationContext, configName: string, number: number): Fleet {
  const { document } = getResource<EndpointConfigDocument, object>(
    context,
    'endpoint-config',
    configName,
  )
  const models = document.ProductionVariants.map(({ ModelName = '' }) => {
    const model = findResource<ModelDocument, object>(context.state, 'model', ModelName)
    if (!model) {
      const arn = resourceArn(context, 'model', ModelName)
      throw invalidRequest(`Could not find model "${arn}" of the endpoint configuration.`)
    }
    return [ModelName, model.document] as const
  })
  return newFleet(document, new Map(models), number)
}

/** Weights and numbers of instances of variants of the same name, as they are now. */
function retain(next: Fleet, current: Fleet | undefined, excluded: string[]): void {
  for (const wanted of next.variants) {
    const known = current?.variants.find(
      ({ variant }) => variant.VariantName === wanted.variant.VariantName,
    )
    if (!known) continue
    if (!excluded.includes('DesiredWeight')) wanted.weight = known.weight
    if (!excluded.includes('DesiredInstanceCount')) wanted.count = known.count
  }
  const capture = current?.config.DataCaptureConfig
  if (capture && !excluded.includes('DataCaptureConfig')) {
    next.config = { ...next.config, DataCaptureConfig: capture }
  }
}
