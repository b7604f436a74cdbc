import { z } from 'zod'
import { invalidRequest } from '../http/aws-error.ts'
import { listAll, type ResourceKind } from '../state/resource-store.ts'
import { listTags } from '../state/tag-store.ts'
import { type OperationContext, operation } from './operation.ts'
import { matchesSearch, propertyOf, SearchExpression } from './search-expression.ts'

const PAGE_SIZE = 10

/** What of AWS's resources there can be here; of the others there are none. */
const KIND: Record<string, ResourceKind> = {
  TrainingJob: 'training-job',
  HyperParameterTuningJob: 'hyper-parameter-tuning-job',
  Endpoint: 'endpoint',
}
const OTHERS = [
  'Experiment',
  'ExperimentTrial',
  'ExperimentTrialComponent',
  'Model',
  'ModelPackage',
  'ModelPackageGroup',
  'Pipeline',
  'PipelineExecution',
  'PipelineVersion',
  'FeatureGroup',
  'FeatureMetadata',
  'Image',
  'ImageVersion',
  'Project',
  'ModelCard',
  'Job',
  'HubContent',
]

export const searchOperations = [
  operation({
    service: 'SageMaker',
    name: 'Search',
    input: z.looseObject({
      Resource: z.enum([...Object.keys(KIND), ...OTHERS]),
      SearchExpression: SearchExpression.nullish(),
      SortBy: z.string().min(1).max(255).nullish(),
      SortOrder: z.enum(['Ascending', 'Descending']).nullish(),
      NextToken: z.string().max(8192).nullish(),
      MaxResults: z.int32().min(1).max(100).nullish(),
    }),
    run(context, { Resource, SearchExpression: expression, ...input }) {
      const records = recordsOf(context, Resource).filter(
        (record) => expression == null || matchesSearch(record, expression),
      )
      const property = input.SortBy ?? 'LastModifiedTime'
      const sign = input.SortOrder === 'Ascending' ? 1 : -1
      records.sort(
        (one, other) => sign * compare(propertyOf(one, property), propertyOf(other, property)),
      )
      const start = startOf(input.NextToken)
      const end = start + (input.MaxResults ?? PAGE_SIZE)
      return {
        Results: records.slice(start, end).map((record) => ({ [Resource]: record })),
        TotalHits: { Value: records.length, Relation: 'EqualTo' },
        ...(end < records.length ? { NextToken: `from/${end}` } : {}),
      }
    },
  }),
]

function recordsOf({ state }: OperationContext, resource: string): Record<string, unknown>[] {
  const kind = KIND[resource]
  if (kind === undefined) return []
  return listAll<Record<string, unknown>, object>(state, kind).map(
    ({ document, arn, modifiedMs }) => ({
      LastModifiedTime: modifiedMs / 1000,
      ...document,
      Tags: listTags(state, arn),
    }),
  )
}

function compare(one: unknown, other: unknown): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other
  if (one === undefined || other === undefined)
    return Number(one !== undefined) - Number(other !== undefined)
  return String(one) < String(other) ? -1 : String(one) > String(other) ? 1 : 0
}

function startOf(token: string | null | undefined): number {
  if (token == null) return 0
  const start = /^from\/(\d{1,9})$/.exec(token)?.[1]
  if (start !== undefined) return Number(start)
  throw invalidRequest('The NextToken is not one that this search has answered with.')
}
