import type {
  EndpointConfigList,
  EndpointDetails,
  EndpointList,
  EndpointRow,
  EndpointVariant,
  InvokeAnswer,
  InvokeRequest,
  ModelVersionLink,
} from '@millrace/api/sagemaker-pages'
import {
  type Endpoint,
  type EndpointDocument,
  type EndpointProgress,
  type Fleet,
  findEndpoint,
} from '../endpoints/endpoint.ts'
import { AwsError } from '../http/aws-error.ts'
import type { EndpointConfigDocument } from '../operations/endpoint-config-input.ts'
import type { OperationContext, RestOperation } from '../operations/operation.ts'
import { type ListInput, listResources } from '../state/list-resources.ts'
import type { State } from '../state/open-state.ts'
import { findResource } from '../state/resource-store.ts'
import { listTags } from '../state/tag-store.ts'
import { noSuch } from './page-error.ts'
import type { WatchedCalls } from './watched-calls.ts'

const CONFIGS_SHOWN = 100

export function listEndpointRows({ state }: OperationContext, input: ListInput): EndpointList {
  const page = listResources<EndpointDocument, EndpointProgress>(state, 'endpoint', input)
  return {
    endpoints: page.resources.map((endpoint) => rowOf(state, endpoint)),
    ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
  }
}

/**
 * An endpoint with how its calls go.
 *
 * @throws AwsError that becomes a 404 when there is none of that name
 */
export function describeEndpointPage(
  { state }: OperationContext,
  name: string,
  calls: WatchedCalls,
): EndpointDetails {
  const endpoint = findEndpoint(state, name)
  if (!endpoint) throw noSuch('endpoint', name)
  const configName = endpoint.document.EndpointConfigName
  const { previousConfigName = configName } = endpoint.progress
  const previous = findResource<EndpointConfigDocument, object>(
    state,
    'endpoint-config',
    previousConfigName,
  )
  const canGoBack =
    previousConfigName !== configName && previous && hasModels(state, previous.document)
  return {
    ...rowOf(state, endpoint),
    configName,
    ...(canGoBack ? { previousConfigName } : {}),
    calls: calls.summaryOf(name, endpoint.createdMs),
  }
}

/** The configurations whose models are all there, so that an endpoint can be given them. */
export function listEndpointConfigs({
  state,
}: Pick<OperationContext, 'state'>): EndpointConfigList {
  const page = listResources<EndpointConfigDocument, object>(state, 'endpoint-config', {
    MaxResults: CONFIGS_SHOWN,
  })
  const usable = page.resources.filter(({ document }) => hasModels(state, document))
  return {
    configs: usable.map(({ name, createdMs, document }) => ({
      name,
      createdMs,
      models: document.ProductionVariants.map(({ ModelName: modelName = '' }) => {
        const version = versionOfModel(state, modelName)
        return { modelName, ...(version ? { version } : {}) }
      }),
    })),
  }
}

function hasModels(state: State, { ProductionVariants }: EndpointConfigDocument): boolean {
  return ProductionVariants.every(({ ModelName = '' }) => findResource(state, 'model', ModelName))
}

/** Sends a body to an endpoint and answers whatever comes of it. */
export async function invokeForPage(
  context: OperationContext,
  invoke: RestOperation,
  { name, request, signal }: { name: string; request: InvokeRequest; signal: AbortSignal },
): Promise<InvokeAnswer> {
  const beganMs = performance.now()
  const headers = {
    'content-type': request.contentType,
    ...(request.accept === undefined ? {} : { accept: request.accept }),
    ...(request.variant === undefined
      ? {}
      : { 'x-amzn-sagemaker-target-variant': request.variant }),
  }
  try {
    const answer = await invoke.run(context, {
      params: { EndpointName: name },
      query: new URLSearchParams(),
      headers,
      body: Buffer.from(request.body),
      signal,
    })
    const variant = answer.headers['x-amzn-invoked-production-variant']
    return {
      status: answer.status,
      tookMs: performance.now() - beganMs,
      ...(variant === undefined ? {} : { variant }),
      contentType: answer.headers['content-type'] ?? '',
      body: Buffer.isBuffer(answer.body) ? answer.body.toString('utf8') : String(answer.body),
    }
  } catch (error) {
    if (!(error instanceof AwsError)) throw error
    const { OriginalStatusCode, OriginalMessage } = error.members
    return {
      status: Number(OriginalStatusCode) || error.status,
      tookMs: performance.now() - beganMs,
      contentType: 'text/plain',
      body: String(OriginalMessage ?? error.message),
    }
  }
}

function rowOf(state: State, { name, arn, createdMs, modifiedMs, document, progress }: Endpoint) {
  const { current, next } = progress
  const { FailureReason } = document
  return {
    name,
    arn,
    status: document.EndpointStatus,
    createdMs,
    modifiedMs,
    variants: [...variantsOf(state, current, false), ...variantsOf(state, next, true)],
    ...(FailureReason === undefined ? {} : { failureReason: FailureReason }),
  } satisfies EndpointRow
}

function variantsOf(state: State, fleet: Fleet | undefined, isNext: boolean): EndpointVariant[] {
  if (!fleet) return []
  return fleet.variants.map(({ variant, container, weight, count }) => {
    const ready = fleet.servers.filter(
      (server) => server.variant === variant.VariantName && server.isReady,
    )
    const modelName = variant.ModelName ?? ''
    const modelUri = container.ModelDataUrl ?? container.ModelDataSource?.S3DataSource?.S3Uri
    const version = versionOfModel(state, modelName)
    return {
      name: variant.VariantName,
      weight,
      ready: ready.length,
      wanted: count,
      ...(variant.InstanceType === undefined ? {} : { instanceType: variant.InstanceType }),
      modelName,
      image: container.Image ?? '',
      ...(modelUri === undefined ? {} : { modelUri }),
      ...(version ? { version } : {}),
      isNext,
    }
  })
}

/** The registered version that a SageMaker model was made of, as far as its tags say. */
export function versionOfModel(state: State, modelName: string): ModelVersionLink | undefined {
  const model = findResource(state, 'model', modelName)
  if (!model) return undefined
  const tags = new Map(listTags(state, model.arn).map(({ Key, Value }) => [Key, Value]))
  // Ours is `name/version`, MLflow's the URI that was deployed.
  const text =
    tags.get('millrace:model-version') ?? tags.get('model_uri')?.replace(/^models:\//, '')
  const [, name, version] = /^([^:]+)\/(\d+)$/.exec(text ?? '') ?? []
  return name === undefined || version === undefined ? undefined : { name, version }
}
