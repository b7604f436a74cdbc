import { z } from 'zod'
import { AwsError } from '../http/aws-error.ts'
import { type LogStream, listLogGroups, listLogStreams } from '../state/log-stream-store.ts'
import { GroupName, noGroup, readPart, StreamName } from './log-streams.ts'
import { type OperationContext, operation } from './operation.ts'
import type { LogEvent } from './read-log.ts'

const STREAMS_MAX = 10_000
const EVENTS_MAX = 10_000
/** How much of the logs one page looks through, in parts of a megabyte. */
const PARTS_MAX = 16

/**
 * Events of several streams of a group: stream by stream in the order of their names, each page sorted
 * by the times of its events. A page can be empty and lead to another one, as AWS's can.
 */
export const filterLogEvents = operation({
  service: 'Logs',
  name: 'FilterLogEvents',
  input: z.object({
    logGroupName: GroupName,
    logStreamNames: z.array(StreamName).min(1).max(100).nullish(),
    logStreamNamePrefix: StreamName.nullish(),
    startTime: z.number().nullish(),
    endTime: z.number().nullish(),
    filterPattern: z.string().max(1024).nullish(),
    nextToken: z.string().max(2048).nullish(),
    limit: z.int32().min(1).max(EVENTS_MAX).nullish(),
    interleaved: z.boolean().nullish(),
  }),
  async run(context, input) {
    const matches = compileFilter(input.filterPattern ?? '')
    const streams = streamsOf(context, input)
    const limit = input.limit ?? EVENTS_MAX
    const events: (LogEvent & { logStreamName: string; eventId: string })[] = []
    let { index, offset } = startOf(streams, input.nextToken)
    for (
      let parts = 0;
      index < streams.length && events.length < limit && parts < PARTS_MAX;
      parts += 1
    ) {
      const stream = streams[index]
      if (!stream) break
      const part = await readPart(stream, {
        from: { forward: offset },
        startTime: input.startTime ?? 0,
        endTime: input.endTime ?? Number.POSITIVE_INFINITY,
        limit: limit - events.length,
      })
      const found = part.events.filter(({ message }) => matches(message))
      for (const [at, event] of found.entries()) {
        const eventId = `${stream.name}/${offset}/${at}`
        events.push({ ...event, logStreamName: stream.name, eventId })
      }
      const isOver = part.end === offset
      index += isOver ? 1 : 0
      offset = isOver ? 0 : part.end
    }
    const next = streams[index]
    return {
      events: events.sort((one, other) => one.timestamp - other.timestamp),
      searchedLogStreams: [],
      ...(next ? { nextToken: writeToken(next.name, offset) } : {}),
    }
  },
})

interface Wanted {
  logGroupName: string
  logStreamNames?: string[] | null | undefined
  logStreamNamePrefix?: string | null | undefined
}

function streamsOf(
  { state }: OperationContext,
  { logGroupName, logStreamNames, logStreamNamePrefix }: Wanted,
): LogStream[] {
  if (logStreamNames != null && logStreamNamePrefix != null) {
    throw invalidParameter('Use either logStreamNames or logStreamNamePrefix.')
  }
  const group = logGroupName
  const prefix = logStreamNamePrefix ?? ''
  const found = listLogStreams(state, { group, prefix, limit: STREAMS_MAX })
  if (found.length === 0 && !listLogGroups(state).includes(group)) throw noGroup()
  if (logStreamNames == null) return found
  const missing = logStreamNames.find((name) => !found.some((stream) => stream.name === name))
  if (missing !== undefined) {
    throw new AwsError('ResourceNotFoundException', `The log stream ${missing} does not exist.`)
  }
  return found.filter(({ name }) => logStreamNames.includes(name))
}

/**
 * A pattern of words: all have to be there, of those with a `?` one, and none of those with a `-`;
 * words in quotation marks belong together.
 *
 * @throws AwsError InvalidParameterException for the forms of patterns that are not read here
 */
export function compileFilter(pattern: string): (message: string) => boolean {
  const text = pattern.trim()
  if (/^[{[%]/.test(text)) {
    throw invalidParameter(
      `The filterPattern ${text} is not read here: words, "phrases", ?word and -word are.`,
    )
  }
  const terms = [...text.matchAll(/([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))/g)].map(
    ([, sign = '', phrase, word]) => ({ sign, text: phrase?.replaceAll('\\"', '"') ?? word ?? '' }),
  )
  const of = (sign: string) => terms.filter((term) => term.sign === sign).map((term) => term.text)
  const [all, any, none] = [of(''), of('?'), of('-')]
  return (message) =>
    all.every((word) => message.includes(word)) &&
    (any.length === 0 || any.some((word) => message.includes(word))) &&
    !none.some((word) => message.includes(word))
}

function writeToken(stream: string, offset: number): string {
  return Buffer.from(JSON.stringify([stream, offset])).toString('base64url')
}

const Token = z.tuple([z.string(), z.int().min(0)])

function startOf(streams: LogStream[], token: string | null | undefined) {
  if (token == null) return { index: 0, offset: 0 }
  const parsed = Token.safeParse(readJson(Buffer.from(token, 'base64url').toString()))
  const index = streams.findIndex(({ name }) => name === parsed.data?.[0])
  if (!parsed.success || index < 0) throw invalidParameter('The specified nextToken is invalid.')
  return { index, offset: parsed.data[1] }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function invalidParameter(message: string): AwsError {
  return new AwsError('InvalidParameterException', message)
}
