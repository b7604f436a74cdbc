import {
  type CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs'

const LINES = 20
const STREAMS = 3

/**
 * The last lines that containers wrote, as the end of a message; what of it cannot be read says why.
 *
 * @param prefix of the names of the streams, for groups that many jobs share
 */
export async function lastLogLines(
  logs: CloudWatchLogsClient,
  logGroupName: string,
  prefix?: string,
): Promise<string> {
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
    const parts: string[] = []
    for (const { logStreamName = '' } of logStreams) {
      const { events = [] } = await logs.send(
        new GetLogEventsCommand({ logGroupName, logStreamName, limit: LINES }),
      )
      const lines = events.map(({ message = '' }) => `  ${message.trimEnd()}`)
      if (lines.length > 0) parts.push(`\nThe last lines of ${logStreamName}:`, ...lines)
    }
    return parts.length > 0 ? parts.join('\n') : `\nThe log group ${logGroupName} has no lines.`
  } catch (error) {
    const reason = error instanceof Error ? error.name : String(error)
    return `\nThe log group ${logGroupName} cannot be read (${reason}).`
  }
}
