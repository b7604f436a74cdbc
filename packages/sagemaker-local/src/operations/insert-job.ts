import { AwsError } from '../http/aws-error.ts'
import type { ResourceKind } from '../state/resource-store.ts'
import { insertResource } from '../state/resource-store.ts'
import { upsertTags } from '../state/tag-store.ts'
import { enqueueTask } from '../state/task-store.ts'
import type { OperationContext } from './operation.ts'

const FAULT_TAG = 'millrace:'

type Tag = { Key: string; Value: string }

/** A job as a client has asked for it. */
export interface NewJob {
  kind: ResourceKind
  name: string
  arn: string
  createdMs: number
  document: object
  progress: object
  tags: Tag[]
  /** How many of the machine's places it takes. */
  places: number
  /** What a refused request is told is unique: `Training job names must be`. */
  uniqueNames: string
  /** What there is already one of: `a training job`. */
  article: string
}

/**
 * Stores a job in progress with its tags and hands it to the runner, all at once.
 *
 * @throws AwsError ResourceInUse when there is one of that name
 */
export function insertJob({ state }: Pick<OperationContext, 'state'>, job: NewJob): void {
  const { kind, name, arn, createdMs, document, progress } = job
  state.transaction(() => {
    const isNew = insertResource(state, {
      kind,
      name,
      arn,
      status: 'InProgress',
      createdMs,
      modifiedMs: createdMs,
      document,
      progress,
    })
    if (!isNew) {
      throw new AwsError(
        'ResourceInUse',
        `${job.uniqueNames} unique within an AWS account and region, and ${job.article} with this name ` +
          `already exists (${arn})`,
      )
    }
    upsertTags(state, arn, job.tags)
    enqueueTask(state, { kind, name, places: job.places })
  })
}

/** What tags ask for that a real account only does when it wants to, by what follows `millrace:`. */
export function faultsOf(tags: Tag[]): Record<string, string> {
  const faults = tags.filter(({ Key }) => Key.startsWith(FAULT_TAG))
  return Object.fromEntries(faults.map(({ Key, Value }) => [Key.slice(FAULT_TAG.length), Value]))
}
