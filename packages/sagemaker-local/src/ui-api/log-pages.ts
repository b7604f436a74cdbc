import type { LogPage } from '@millrace/api/sagemaker-pages'
import { z } from 'zod'
import type { OperationContext } from '../operations/operation.ts'
import { listLogStreams } from '../state/log-stream-store.ts'
import { callOperation } from './call-operation.ts'

const STREAMS_MAX = 100
const LINES_MAX = 2000

const Events = z.object({
  events: z.array(z.object({ timestamp: z.number(), message: z.string() })),
  nextForwardToken: z.string(),
})

/** Which log is asked for: a group of CloudWatch and what its streams' names begin with. */
export interface LogPlace {
  group: string
  prefix: string
  /** Else they are in the order of their names. */
  isNewestFirst?: boolean
}

/** The end of a stream, the first unless one is named, or what has come to it since `next`. */
export async function readLogPage(
  context: OperationContext,
  { group, prefix, isNewestFirst = false }: LogPlace,
  { stream, next }: { stream?: string | undefined; next?: string | undefined },
): Promise<LogPage> {
  const found = listLogStreams(context.state, { group, prefix, limit: STREAMS_MAX })
  if (isNewestFirst) found.sort((one, other) => other.createdMs - one.createdMs)
  const streams = found.map(({ name }) => name.slice(prefix.length))
  const shown = streams.find((name) => name === stream) ?? streams[0]
  if (shown === undefined) return { streams, lines: [] }
  const answer = Events.parse(
    await callOperation(context, 'GetLogEvents', {
      logGroupName: group,
      logStreamName: prefix + shown,
      limit: LINES_MAX,
      ...(next !== undefined && shown === stream ? { nextToken: next } : {}),
    }),
  )
  return {
    streams,
    stream: shown,
    lines: answer.events.map(({ timestamp, message }) => ({ timeMs: timestamp, text: message })),
    next: answer.nextForwardToken,
  }
}
