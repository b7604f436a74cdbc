import { cloudWatchOperations } from './cloudwatch.ts'
import { containerRegistryOperations } from './container-registry.ts'
import { endpointConfigOperations } from './endpoint-configs.ts'
import { endpointOperations } from './endpoints.ts'
import { identityOperations } from './identity.ts'
import { invokeEndpoint } from './invoke-endpoint.ts'
import { invokeEndpointWithResponseStream } from './invoke-endpoint-stream.ts'
import { logOperations } from './logs.ts'
import { modelOperations } from './models.ts'
import type { AnyOperation, RestOperation } from './operation.ts'
import { processingJobOperations } from './processing-jobs.ts'
import { searchOperations } from './search.ts'
import { tagOperations } from './tags.ts'
import { trainingJobOperations } from './training-jobs.ts'
import { transformJobOperations } from './transform-jobs.ts'
import { tuningJobOperations } from './tuning-jobs.ts'

/** Every operation with one document in and one out; a new group is one more line. */
export const operations: AnyOperation[] = [
  ...cloudWatchOperations,
  ...endpointConfigOperations,
  ...endpointOperations,
  ...containerRegistryOperations,
  ...identityOperations,
  ...logOperations,
  ...modelOperations,
  ...processingJobOperations,
  ...searchOperations,
  ...tagOperations,
  ...trainingJobOperations,
  ...transformJobOperations,
  ...tuningJobOperations,
]

/** Every operation that is a path and a body. */
export const restOperations: RestOperation[] = [invokeEndpoint, invokeEndpointWithResponseStream]
