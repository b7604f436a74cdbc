import { z } from 'zod'
import { ListInput, listResources } from '../state/list-resources.ts'
import type { Resource, ResourceKind } from '../state/resource-store.ts'
import { operation } from './operation.ts'

/**
 * A List operation over one kind of resource; filters, order and tokens are the same for all. What has
 * no `statuses` is neither filtered nor sorted by them.
 */
export function listOperation<Document>(list: {
  name: string
  kind: ResourceKind
  statuses?: readonly [string, ...string[]]
  /** The member of the answer that has the items. */
  member: string
  summaryOf: (resource: Resource<Document, object>) => object
}) {
  const { name, kind, statuses, member, summaryOf } = list
  return operation({
    service: 'SageMaker',
    name,
    input: statuses
      ? ListInput.extend({ StatusEquals: z.enum(statuses).nullish() })
      : ListInput.extend({ SortBy: z.enum(['Name', 'CreationTime']).nullish() }),
    run({ state }, input) {
      const page = listResources<Document, object>(state, kind, input)
      return { [member]: page.resources.map(summaryOf), NextToken: page.nextToken }
    },
  })
}
