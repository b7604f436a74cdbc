import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import {
  CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
  ResourceNotFoundException,
} from '@aws-sdk/client-cloudwatch-logs'
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import {
  CreateTrainingJobCommand,
  type CreateTrainingJobCommandInput,
  DescribeTrainingJobCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker'
import { list, type ReadEntry } from 'tar'
import type { TestPlane } from './start-test-plane.ts'

export const BUCKET = 'training'
export const GROUP = '/aws/sagemaker/TrainingJobs'
const JOB_LIMIT_MS = 150_000

/** Clients of a control plane with a bucket, and what tests of training jobs do with them. */
export async function trainingClient(
  running: Pick<TestPlane, 'url' | 'directory' | 'client'>,
  { hasBucket = false } = {},
) {
  const s3 = new S3Client({ ...running.client, forcePathStyle: true })
  const sagemaker = new SageMakerClient(running.client)
  const logs = new CloudWatchLogsClient(running.client)
  if (!hasBucket) await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))

  const describe = (name: string) =>
    sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: name }))
  return {
    s3,
    sagemaker,
    logs,
    describe,
    put: (key: string, body: string | Buffer) =>
      s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body })),
    create: (name: string, image: string, changes: Partial<CreateTrainingJobCommandInput> = {}) =>
      sagemaker.send(new CreateTrainingJobCommand({ ...request(name, image), ...changes })),
    /** Waits until a job has ended, however. */
    ended: (name: string) =>
      until(async () => {
        const job = await describe(name)
        return /InProgress|Stopping/.test(job.TrainingJobStatus ?? '') ? undefined : job
      }),
    until,
    /** What a job has printed, stream by stream. */
    async lines(name: string): Promise<string[][]> {
      const { logStreams = [] } = await logs
        .send(
          new DescribeLogStreamsCommand({ logGroupName: GROUP, logStreamNamePrefix: `${name}/` }),
        )
        .catch((error: unknown) => {
          // There is no group before there is a stream in it.
          if (error instanceof ResourceNotFoundException) return { logStreams: [] }
          throw error
        })
      return Promise.all(
        logStreams.map(async ({ logStreamName }) => {
          const { events = [] } = await logs.send(
            new GetLogEventsCommand({ logGroupName: GROUP, logStreamName, startFromHead: true }),
          )
          return events.map(({ message }) => message ?? '')
        }),
      )
    },
    /** The files of an archive in the bucket with their texts. */
    async archive(key: string): Promise<Record<string, string>> {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))
      const file = join(running.directory, `archive-${key.replaceAll('/', '-')}`)
      await writeFile(file, (await Body?.transformToByteArray()) ?? '')
      return members(file)
    },
    /** A folder with an executable `train`, as an image. */
    async image(train: string): Promise<string> {
      const directory = await mkdtemp(join(running.directory, 'image-'))
      await chmod(directory, 0o755)
      await writeFile(join(directory, 'train'), train)
      await chmod(join(directory, 'train'), 0o755)
      return `local:${directory}`
    },
  }
}

export function request(name: string, image: string): CreateTrainingJobCommandInput {
  return {
    TrainingJobName: name,
    RoleArn: 'arn:aws:iam::123456789012:role/anybody',
    AlgorithmSpecification: { TrainingImage: image, TrainingInputMode: 'File' },
    OutputDataConfig: { S3OutputPath: `s3://${BUCKET}/out` },
    ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
    StoppingCondition: { MaxRuntimeInSeconds: 60 },
  }
}

export async function until<Found>(look: () => Promise<Found | undefined>): Promise<Found> {
  for (const endMs = Date.now() + JOB_LIMIT_MS; Date.now() < endMs; await wait(25)) {
    const found = await look()
    if (found !== undefined) return found
  }
  throw new Error('It has not come in a minute.')
}

async function members(file: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  const reading: Promise<void>[] = []
  await list({
    file,
    onReadEntry: (entry: ReadEntry) => {
      if (entry.type !== 'File') return
      reading.push(
        entry.concat().then((bytes) => {
          found[entry.path.replace(/^\.\//, '')] = Buffer.from(bytes).toString()
        }),
      )
    },
  })
  await Promise.all(reading)
  return found
}
