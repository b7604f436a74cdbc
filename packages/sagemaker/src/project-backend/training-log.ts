import {
  type CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs'

const GROUP = '/aws/sagemaker/TrainingJobs'

/** Shows what a job has written since the last look. */
export type TrainingLogLook = () => Promise<void>

/**
 * Follows the log of a training job. A log that may not be read is said once and then left: the job
 * runs without anybody looking.
 */
export function followTrainingLog(
  logs: CloudWatchLogsClient,
  jobName: string,
  { onLine, log }: { onLine: (line: string) => void; log: (line: string) => void },
): TrainingLogLook {
  const tokens = new Map<string, string | undefined>()
  let isOver = false

  return async () => {
    if (isOver) return
    try {
      const { logStreams = [] } = await logs.send(
        new DescribeLogStreamsCommand({ logGroupName: GROUP, logStreamNamePrefix: `${jobName}/` }),
      )
      for (const { logStreamName = '' } of logStreams) await readOn(logStreamName)
    } catch (error) {
      // The group is made with the first line of the first job.
      if (error instanceof Error && error.name === 'ResourceNotFoundException') return
      if (!(error instanceof Error) || !/AccessDenied/.test(error.name)) return
      isOver = true
      log(`The job's log is not shown, for want of rights: ${error.message}`)
    }
  }

  async function readOn(logStreamName: string): Promise<void> {
    for (;;) {
      const token = tokens.get(logStreamName)
      const { events = [], nextForwardToken } = await logs.send(
        new GetLogEventsCommand({
          logGroupName: GROUP,
          logStreamName,
          startFromHead: true,
          ...(token !== undefined && { nextToken: token }),
        }),
      )
      for (const { message = '' } of events) onLine(message)
      // The same token again says that there is no more for now.
      if (nextForwardToken === undefined || nextForwardToken === token) return
      tokens.set(logStreamName, nextForwardToken)
    }
  }
}
