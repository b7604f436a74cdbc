import { identityOperations } from './identity.ts'
import type { AnyOperation, RestOperation } from './operation.ts'
import { tagOperations } from './tags.ts'

/** Every operation with one document in and one out; a new group is one more line. */
export const operations: AnyOperation[] = [...identityOperations, ...tagOperations]

/** Every operation that is a path and a body. */
export const restOperations: RestOperation[] = []
