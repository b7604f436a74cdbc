import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { AwsError } from '../http/aws-error.ts'
import {
  findLogStream,
  type LogStream,
  listLogGroups,
  listLogStreams,
} from '../state/log-stream-store.ts'
import { filterLogEvents } from './filter-log-events.ts'
import { GroupName, noGroup, readPart, StreamName } from './log-streams.ts'
import { type OperationContext, operation } from './operation.ts'
import type { LogQuery } from './read-log.ts'

const PAGE_SIZE = 50
const EVENTS_MAX = 10_000

export const logOperations = [
  filterLogEvents,
  operation({
    service: 'Logs',
    name: 'DescribeLogGroups',
    input: z.object({ logGroupNamePrefix: GroupName.nullish() }),
    run({ state, settings, region }, { logGroupNamePrefix }) {
      const groups = listLogGroups(state).filter((name) =>
        name.startsWith(logGroupNamePrefix ?? ''),
      )
      return {
        logGroups: groups.map((logGroupName) => ({
          logGroupName,
          arn: `arn:aws:logs:${region}:${settings.accountId}:log-group:${logGroupName}:*`,
        })),
      }
    },
  }),
  operation({
    service: 'Logs',
    name: 'DescribeLogStreams',
    input: z.object({
      logGroupName: GroupName,
      logStreamNamePrefix: StreamName.nullish(),
      orderBy: z.enum(['LogStreamName', 'LastEventTime']).nullish(),
      descending: z.boolean().nullish(),
      nextToken: z.string().nullish(),
      limit: z.int32().min(1).max(50).nullish(),
    }),
    async run(context, input) {
      const { state } = context
      const limit = input.limit ?? PAGE_SIZE
      const found = listLogStreams(state, {
        group: input.logGroupName,
        prefix: input.logStreamNamePrefix ?? '',
        after: input.nextToken ?? '',
        limit: limit + 1,
      })
      if (found.length === 0 && !listLogGroups(state).includes(input.logGroupName)) throw noGroup()
      const shown = found.slice(0, limit)
      const last = shown.at(-1)
      const hasMore = found.length > limit && last !== undefined
      // The SDK asks for as many streams as there are instances and does not pass a token back: it
      // would ask forever if it were given one.
      const isFollowing = input.logStreamNamePrefix?.endsWith('/') === true
      return {
        logStreams: await Promise.all(shown.map((stream) => describe(context, stream))),
        ...(hasMore && !isFollowing ? { nextToken: last.name } : {}),
      }
    },
  }),
  operation({
    service: 'Logs',
    name: 'GetLogEvents',
    input: z.object({
      logGroupName: GroupName,
      logStreamName: StreamName,
      startTime: z.number().nullish(),
      endTime: z.number().nullish(),
      nextToken: z.string().nullish(),
      limit: z.int32().min(1).max(EVENTS_MAX).nullish(),
      startFromHead: z.boolean().nullish(),
    }),
    async run({ state }, input) {
      const stream = findLogStream(state, input.logGroupName, input.logStreamName)
      if (!stream) {
        if (!listLogGroups(state).includes(input.logGroupName)) throw noGroup()
        throw new AwsError('ResourceNotFoundException', 'The specified log stream does not exist.')
      }
      const part = await readPart(stream, {
        from: placeOf(input.nextToken, input.startFromHead === true),
        startTime: input.startTime ?? 0,
        endTime: input.endTime ?? Number.POSITIVE_INFINITY,
        limit: input.limit ?? EVENTS_MAX,
      })
      return {
        events: part.events,
        nextForwardToken: `f/${part.end}`,
        nextBackwardToken: `b/${part.start}`,
      }
    },
  }),
]

function placeOf(token: string | null | undefined, isFromHead: boolean): LogQuery['from'] {
  if (token == null) return isFromHead ? 'head' : 'tail'
  const [, direction, offset = ''] = /^([fb])\/(\d{1,15})$/.exec(token) ?? []
  if (direction === undefined) {
    throw new AwsError('InvalidParameterException', 'The specified nextToken is invalid.')
  }
  return direction === 'f' ? { forward: Number(offset) } : { backward: Number(offset) }
}

async function describe({ settings, region }: OperationContext, stream: LogStream) {
  const [first, last, size] = await Promise.all([
    readPart(stream, { from: 'head', startTime: 0, endTime: Number.POSITIVE_INFINITY, limit: 1 }),
    readPart(stream, { from: 'tail', startTime: 0, endTime: Number.POSITIVE_INFINITY, limit: 1 }),
    stat(stream.file).then(
      (found) => found.size,
      () => 0,
    ),
  ])
  return {
    logStreamName: stream.name,
    creationTime: stream.createdMs,
    firstEventTimestamp: first.events[0]?.timestamp,
    lastEventTimestamp: last.events[0]?.timestamp,
    lastIngestionTime: last.events[0]?.timestamp,
    arn: `arn:aws:logs:${region}:${settings.accountId}:log-group:${stream.group}:log-stream:${stream.name}`,
    storedBytes: size,
  }
}
