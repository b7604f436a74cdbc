import type {
  EndpointConfigDocument,
  ProductionVariant,
} from '../operations/endpoint-config-input.ts'
import type { Container, ModelDocument } from '../operations/model-input.ts'
import type { OperationContext } from '../operations/operation.ts'
import { seconds } from '../operations/resource-names.ts'
import type { State } from '../state/open-state.ts'
import { findResource, listAll, type Resource, updateResource } from '../state/resource-store.ts'

export const ENDPOINT_STATUSES = [
  'OutOfService',
  'Creating',
  'Updating',
  'SystemUpdating',
  'RollingBack',
  'InService',
  'Deleting',
  'Failed',
  'UpdateRollbackFailed',
] as const
export type EndpointStatus = (typeof ENDPOINT_STATUSES)[number]

/** A variant as DescribeEndpoint tells it. */
export interface VariantSummary {
  VariantName: string
  DeployedImages: { SpecifiedImage: string; ResolvedImage: string; ResolutionTime: number }[]
  CurrentWeight: number
  DesiredWeight: number
  CurrentInstanceCount: number
  DesiredInstanceCount: number
  CurrentServerlessConfig?: ProductionVariant['ServerlessConfig']
}

/** What DescribeEndpoint answers. Times in seconds. */
export interface EndpointDocument {
  EndpointName: string
  EndpointArn: string
  EndpointConfigName: string
  ProductionVariants?: VariantSummary[]
  DataCaptureConfig?: {
    EnableCapture: boolean
    CaptureStatus: 'Started' | 'Stopped'
    CurrentSamplingPercentage: number
    DestinationS3Uri: string
    KmsKeyId: string
  }
  EndpointStatus: EndpointStatus
  FailureReason?: string
  CreationTime: number
  LastModifiedTime: number
  LastDeploymentConfig?: object
  AsyncInferenceConfig?: object
}

/** A variant of a fleet with all that is needed to start it again, whatever becomes of its model. */
export interface FleetVariant {
  variant: ProductionVariant
  container: Container
  weight: number
  /** How many servers there are to be. */
  count: number
  /** Whether its servers reach nothing: EnableNetworkIsolation of its model or configuration. */
  isIsolated?: boolean
}

/** One process that answers for a variant. */
export interface FleetServer {
  variant: string
  index: number
  /** On loopback; 0 before it is started. */
  port: number
  /** Whether it has answered its last pings. */
  isReady: boolean
}

/** The servers of one configuration of an endpoint. */
export interface Fleet {
  /** From 1; every configuration that an endpoint is given has a fleet of its own. */
  number: number
  configName: string
  config: EndpointConfigDocument
  variants: FleetVariant[]
  servers: FleetServer[]
}

/** What the runner needs to carry an endpoint on, and InvokeEndpoint to find a server. */
export interface EndpointProgress {
  /** That answers. */
  current?: Fleet
  /** That is being started and will take its place. */
  next?: Fleet
  /** Whose servers are to be ended. */
  retired?: Fleet[]
  /** The configuration that was in service before this one. */
  previousConfigName?: string
  /** Faults that a test of a client asks for by tags `millrace:...`. */
  faults: Record<string, string>
}

export type Endpoint = Resource<EndpointDocument, EndpointProgress>

export function findEndpoint(state: State, name: string): Endpoint | undefined {
  return findResource<EndpointDocument, EndpointProgress>(state, 'endpoint', name)
}

/** Changes an endpoint; `change` returns false to leave it as it is. Undefined when it is gone. */
export function updateEndpoint(
  state: State,
  name: string,
  change: (endpoint: Endpoint) => false | void,
): Endpoint | undefined {
  return updateResource<EndpointDocument, EndpointProgress>(state, 'endpoint', name, (endpoint) => {
    const before = JSON.stringify(endpoint.document)
    if (change(endpoint) === false) return false
    const { document, progress } = endpoint
    endpoint.status = document.EndpointStatus
    if (progress.current) document.ProductionVariants = summaries(endpoint, progress.current)
    if (JSON.stringify(document) !== before) document.LastModifiedTime = seconds(Date.now())
  })
}

/** Whether a change is under way, so that AWS takes no other one. */
export function isInProgress({ document }: Endpoint): boolean {
  return ['Creating', 'Updating', 'SystemUpdating', 'RollingBack', 'Deleting'].includes(
    document.EndpointStatus,
  )
}

/** The endpoints of which something is true. */
export function listEndpoints(
  { state }: Pick<OperationContext, 'state'>,
  isWanted: (endpoint: Endpoint) => boolean,
): Endpoint[] {
  return listAll<EndpointDocument, EndpointProgress>(state, 'endpoint').filter(isWanted)
}

/** A fleet for a configuration, with nothing of it started. */
export function newFleet(
  config: EndpointConfigDocument,
  models: Map<string, ModelDocument>,
  number: number,
): Fleet {
  const variants = config.ProductionVariants.map((variant): FleetVariant => {
    const model = models.get(variant.ModelName ?? '')
    const container = model?.PrimaryContainer ?? model?.Containers?.[0] ?? {}
    return {
      variant,
      container,
      weight: variant.InitialVariantWeight ?? 1,
      count: variant.ServerlessConfig ? 1 : (variant.InitialInstanceCount ?? 1),
      isIsolated: model?.EnableNetworkIsolation === true || config.EnableNetworkIsolation === true,
    }
  })
  return { number, configName: config.EndpointConfigName, config, variants, servers: [] }
}

function summaries({ createdMs }: Endpoint, { variants, servers }: Fleet): VariantSummary[] {
  return variants.map(({ variant, container, weight, count }) => {
    const image = container.Image ?? ''
    const isServerless = variant.ServerlessConfig !== undefined
    const running = servers.filter(({ variant: name }) => name === variant.VariantName).length
    return {
      VariantName: variant.VariantName,
      DeployedImages: [
        { SpecifiedImage: image, ResolvedImage: image, ResolutionTime: seconds(createdMs) },
      ],
      CurrentWeight: weight,
      DesiredWeight: weight,
      CurrentInstanceCount: isServerless ? 0 : running,
      DesiredInstanceCount: isServerless ? 0 : count,
      ...(variant.ServerlessConfig ? { CurrentServerlessConfig: variant.ServerlessConfig } : {}),
    }
  })
}
