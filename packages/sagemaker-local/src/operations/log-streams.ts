import { z } from 'zod'
import { AwsError } from '../http/aws-error.ts'
import type { LogStream } from '../state/log-stream-store.ts'
import { type LogPart, type LogQuery, readLog } from './read-log.ts'

export const GroupName = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[.\-_/#A-Za-z0-9]+$/)
export const StreamName = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^:*]*$/)

export function noGroup(): AwsError {
  return new AwsError('ResourceNotFoundException', 'The specified log group does not exist.')
}

/** A stream whose file is not there has nothing in it yet. */
export async function readPart({ file }: LogStream, query: LogQuery): Promise<LogPart> {
  try {
    return await readLog(file, query)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return { events: [], start: 0, end: 0 }
  }
}
