import {
  type CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs'
import { isAbsent } from '../access/aws-clients.ts'
import { poll } from '../access/poll.ts'

const LINES = 20
const STREAMS = 3

/** Lines come to CloudWatch a little later than the failure that they explain. */
const LATE_SECONDS = 6

/**
 * The last lines that containers wrote, as the end of a message; without any it says so, or why they
 * cannot be read.
 *
 * @param prefix of the names of the streams, for groups that many jobs share
 */
export async function lastLogLines(
  logs: CloudWatchLogsClient,
  logGroupName: string,
  prefix?: string,
): Promise<string> {
  try {
    const lines = await poll(() => findLines(logs, logGroupName, prefix), LATE_SECONDS)
    return lines ?? `\nThe log group ${logGroupName} has no lines.`
  } catch (error) {
    const reason = error instanceof Error ? error.name : String(error)
    return `\nThe log group ${logGroupName} cannot be read (${reason}).`
  }
}

async function findLines(
  logs: CloudWatchLogsClient,
  logGroupName: string,
  prefix: string | undefined,
): Promise<string | undefined> {
  const parts: string[] = []
  for (const { logStreamName = '' } of await streamsOf(logs, logGroupName, prefix)) {
    const { events = [] } = await logs.send(
      new GetLogEventsCommand({ logGroupName, logStreamName, limit: LINES }),
    )
    const lines = events.map(({ message = '' }) => `  ${message.trimEnd()}`)
    if (lines.length > 0) parts.push(`\nThe last lines of ${logStreamName}:`, ...lines)
  }
  return parts.length > 0 ? parts.join('\n') : undefined
}

async function streamsOf(
  logs: CloudWatchLogsClient,
  logGroupName: string,
  prefix: string | undefined,
) {
  try {
    const { logStreams = [] } = await logs.send(
      new DescribeLogStreamsCommand({
        logGroupName,
        ...(prefix === undefined
          ? { orderBy: 'LastEventTime', descending: true }
          : { logStreamNamePrefix: prefix }),
        limit: STREAMS,
      }),
    )
    return logStreams
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}
