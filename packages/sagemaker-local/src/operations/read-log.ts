import { open } from 'node:fs/promises'

/** One line of a log file. */
export interface LogEvent {
  timestamp: number
  message: string
  ingestionTime: number
}

/** A part of a log: its events, and where it begins and ends in the file. */
export interface LogPart {
  events: LogEvent[]
  start: number
  end: number
}

export interface LogQuery {
  /** A place in the file to read on from, or to read back from. */
  from: { forward: number } | { backward: number } | 'head' | 'tail'
  /** Times in ms; the first is part of it, the last is not. */
  startTime: number
  endTime: number
  limit: number
}

const CHUNK_BYTES = 1 << 20

/**
 * Reads whole lines of a log, at most a megabyte of them, as CloudWatch's GetLogEvents does. Places
 * are offsets of lines, so they stay right while the file grows.
 */
export async function readLog(file: string, query: LogQuery): Promise<LogPart> {
  await using handle = await open(file)
  const { size } = await handle.stat()
  const { from } = query
  const isBack = from === 'tail' || (typeof from === 'object' && 'backward' in from)
  if (isBack) {
    const end = from === 'tail' ? size : Math.min(from.backward, size)
    const start = Math.max(0, end - CHUNK_BYTES)
    const lines = linesOf(await read(handle, start, end), start, start > 0)
    const found = lines.filter(within(query)).slice(-query.limit)
    const whole = lines.at(-1)
    return {
      events: found.map(toEvent),
      start: found[0]?.start ?? lines[0]?.start ?? end,
      end: whole?.end ?? end,
    }
  }
  const start = from === 'head' ? 0 : Math.min(from.forward, size)
  const lines = linesOf(
    await read(handle, start, Math.min(size, start + CHUNK_BYTES)),
    start,
    false,
  )
  const found: Line[] = []
  let end = start
  for (const line of lines) {
    if (found.length === query.limit) break
    if (within(query)(line)) found.push(line)
    end = line.end
  }
  return { events: found.map(toEvent), start, end }
}

interface Line {
  timeMs: number
  text: string
  start: number
  end: number
}

async function read(
  handle: Awaited<ReturnType<typeof open>>,
  start: number,
  end: number,
): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, end - start))
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
  return bytes.subarray(0, bytesRead)
}

/** Lines that have ended; what stands before the first line end is left out when it may be a half. */
function linesOf(bytes: Buffer, offset: number, beginsInside: boolean): Line[] {
  const lines: Line[] = []
  let at = beginsInside ? bytes.indexOf(10) + 1 : 0
  for (let next = bytes.indexOf(10, at); next >= 0; next = bytes.indexOf(10, at)) {
    const text = bytes.toString('utf8', at, next)
    const space = text.indexOf(' ')
    lines.push({
      timeMs: Number(text.slice(0, space)),
      text: text.slice(space + 1),
      start: offset + at,
      end: offset + next + 1,
    })
    at = next + 1
  }
  return lines
}

function within({ startTime, endTime }: LogQuery) {
  return ({ timeMs }: Line) => timeMs >= startTime && timeMs < endTime
}

function toEvent({ timeMs, text }: Line): LogEvent {
  return { timestamp: timeMs, message: text, ingestionTime: timeMs }
}
