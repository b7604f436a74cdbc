import { identityOperations } from './identity.ts'
import { logOperations } from './logs.ts'
import type { AnyOperation, RestOperation } from './operation.ts'
import { tagOperations } from './tags.ts'
import { trainingJobOperations } from './training-jobs.ts'

/** Every operation with one document in and one out; a new group is one more line. */
export const operations: AnyOperation[] = [
  ...identityOperations,
  ...logOperations,
  ...tagOperations,
  ...trainingJobOperations,
]

/** Every operation that is a path and a body. */
export const restOperations: RestOperation[] = []
