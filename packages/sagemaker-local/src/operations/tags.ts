import { z } from 'zod'
import { AwsError, invalidRequest } from '../http/aws-error.ts'
import { findResourceByArn } from '../state/resource-store.ts'
import { deleteTags, listTags, upsertTags } from '../state/tag-store.ts'
import { type OperationContext, operation } from './operation.ts'
import { TagKey, Tags } from './resource-names.ts'

const TAGS_MAX = 50
const ResourceArn = z
  .string()
  .max(256)
  .regex(/^arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:.+$/)

export const tagOperations = [
  operation({
    service: 'SageMaker',
    name: 'AddTags',
    input: z.object({ ResourceArn, Tags }),
    run({ state, ...context }, input) {
      const arn = knownArn({ state, ...context }, input.ResourceArn)
      state.transaction(() => {
        upsertTags(state, arn, input.Tags)
        if (listTags(state, arn).length > TAGS_MAX) {
          throw new AwsError('ResourceLimitExceeded', `A resource has at most ${TAGS_MAX} tags.`)
        }
      })
      return { Tags: listTags(state, arn) }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'ListTags',
    input: z.object({
      ResourceArn,
      MaxResults: z.int32().min(50).nullish(),
      NextToken: z.string().nullish(),
    }),
    run(context, input) {
      return { Tags: listTags(context.state, knownArn(context, input.ResourceArn)) }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DeleteTags',
    input: z.object({ ResourceArn, TagKeys: z.array(TagKey).min(1).max(50) }),
    run(context, input) {
      const arn = knownArn(context, input.ResourceArn)
      context.state.transaction(() => deleteTags(context.state, arn, input.TagKeys))
      return {}
    },
  }),
]

/** The ARN as it is stored; the name in it may be written in any case. */
function knownArn({ state }: OperationContext, arn: string): string {
  const parts = arn.split('/')
  const written = [parts[0], ...parts.slice(1).map((part) => part.toLowerCase())].join('/')
  const resource = findResourceByArn(state, written) ?? findResourceByArn(state, arn)
  if (!resource) throw invalidRequest(`Could not find the resource "${arn}".`)
  return resource.arn
}
