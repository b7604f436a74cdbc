import { z } from 'zod'
import { listEndpoints } from '../endpoints/endpoint.ts'
import { invalidRequest } from '../http/aws-error.ts'
import { instanceSize } from '../runner/instance/instance-types.ts'
import { findBucket } from '../s3/bucket-store.ts'
import { parseS3Uri } from '../s3/object-transfer.ts'
import { deleteResource, insertResource } from '../state/resource-store.ts'
import { upsertTags } from '../state/tag-store.ts'
import { alreadyExisting, getResource } from './absent-resource.ts'
import {
  CreateEndpointConfigInput,
  type EndpointConfigDocument,
  type ProductionVariant,
} from './endpoint-config-input.ts'
import { listOperation } from './list-operation.ts'
import { type OperationContext, operation } from './operation.ts'
import { ResourceName, resourceArn, seconds } from './resource-names.ts'

const ByName = z.object({ EndpointConfigName: ResourceName() })

export const endpointConfigOperations = [
  operation({
    service: 'SageMaker',
    name: 'CreateEndpointConfig',
    input: CreateEndpointConfigInput,
    run(context, { Tags = [], ...input }) {
      const { state } = context
      const name = input.EndpointConfigName
      const arn = resourceArn(context, 'endpoint-config', name)
      checkConfig(context, input)
      const nowMs = Date.now()
      const document: EndpointConfigDocument = {
        ...input,
        ProductionVariants: input.ProductionVariants.map((variant) => ({
          InitialVariantWeight: 1,
          ...variant,
        })),
        EndpointConfigArn: arn,
        CreationTime: seconds(nowMs),
      }
      state.transaction(() => {
        const isNew = insertResource(state, {
          kind: 'endpoint-config',
          name,
          arn,
          status: 'InService',
          createdMs: nowMs,
          modifiedMs: nowMs,
          document,
          progress: {},
        })
        if (!isNew) throw alreadyExisting('endpoint-config', arn)
        upsertTags(state, arn, Tags)
      })
      return { EndpointConfigArn: arn }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DescribeEndpointConfig',
    input: ByName,
    run(context, { EndpointConfigName }) {
      return getResource<EndpointConfigDocument, object>(
        context,
        'endpoint-config',
        EndpointConfigName,
      ).document
    },
  }),
  listOperation<EndpointConfigDocument>({
    name: 'ListEndpointConfigs',
    kind: 'endpoint-config',
    member: 'EndpointConfigs',
    summaryOf: ({ document }) => ({
      EndpointConfigName: document.EndpointConfigName,
      EndpointConfigArn: document.EndpointConfigArn,
      CreationTime: document.CreationTime,
    }),
  }),
  operation({
    service: 'SageMaker',
    name: 'DeleteEndpointConfig',
    input: ByName,
    run(context, { EndpointConfigName }) {
      getResource(context, 'endpoint-config', EndpointConfigName)
      // One in service may lose it: the SageMaker SDK deletes the configuration before the endpoint.
      const [user] = listEndpoints(
        context,
        ({ document, progress }) =>
          ['Creating', 'Updating'].includes(document.EndpointStatus) &&
          [progress.current, progress.next].some(
            (fleet) => fleet?.configName === EndpointConfigName,
          ),
      )
      if (user) {
        const arn = resourceArn(context, 'endpoint-config', EndpointConfigName)
        throw invalidRequest(
          `Cannot delete endpoint configuration "${arn}": the endpoint "${user.arn}" is ` +
            `${user.document.EndpointStatus} with it. Wait until it is InService.`,
        )
      }
      deleteResource(context.state, 'endpoint-config', EndpointConfigName)
      return undefined
    },
  }),
]

function checkConfig(context: OperationContext, input: CreateEndpointConfigInput): void {
  const names = input.ProductionVariants.map(({ VariantName }) => VariantName)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    throw invalidRequest(`The production variant name '${twice}' occurs twice.`)
  }
  for (const variant of input.ProductionVariants) checkVariant(context, variant)
  if (input.AsyncInferenceConfig !== undefined) {
    throw invalidRequest('AsyncInferenceConfig is not served by this control plane.')
  }
  if ((input.ShadowProductionVariants ?? []).length > 0) {
    throw invalidRequest('ShadowProductionVariants are not served by this control plane.')
  }
  const destination = input.DataCaptureConfig?.DestinationS3Uri
  if (destination === undefined) return
  const bucket = destination.startsWith('s3://') ? parseS3Uri(destination).bucket : undefined
  if (bucket !== undefined && findBucket(context.objects, bucket)) return
  throw invalidRequest(
    `The bucket of the DestinationS3Uri ${destination} does not exist here: create it first.`,
  )
}

function checkVariant(context: OperationContext, variant: ProductionVariant): void {
  const { VariantName, ModelName, InstanceType, InitialInstanceCount, ServerlessConfig } = variant
  if (ModelName === undefined) {
    throw invalidRequest(`The production variant '${VariantName}' names no model (ModelName).`)
  }
  if (InstanceType !== undefined && instanceSize(InstanceType) === undefined) {
    throw invalidRequest(
      `1 validation error detected: Value '${InstanceType}' at 'productionVariants.1.member.instanceType' failed ` +
        'to satisfy constraint: Member must be an instance type such as ml.m5.xlarge',
    )
  }
  getResource(context, 'model', ModelName)
  if (ServerlessConfig) {
    if (InstanceType === undefined && InitialInstanceCount === undefined) return
    throw invalidRequest(
      `The production variant '${VariantName}' has a ServerlessConfig: leave out InstanceType and InitialInstanceCount.`,
    )
  }
  if (InstanceType === undefined || InitialInstanceCount === undefined) {
    throw invalidRequest(
      `The production variant '${VariantName}' needs an InstanceType and an InitialInstanceCount, or a ServerlessConfig.`,
    )
  }
}
