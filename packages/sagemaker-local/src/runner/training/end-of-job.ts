import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { InstanceEnd, InstanceSpec } from '../instance/instance-spec.ts'
import { findOwnPath } from './own-path.ts'
import type { Outcome, TrainingJob } from './training-job.ts'

const FAILURE_CHARACTERS = 1024
const ERROR_LINES = 12

/** What the ends of the instances of a job come to. */
export type Next = { kind: 'end'; outcome: Outcome } | { kind: 'interrupted' } | { kind: 'retry' }

/**
 * Whether a job has ended, and how, or has to be tried again: a spot instance was interrupted, or an
 * instance was lost and the client wants retries.
 */
export async function endOfJob(
  training: TrainingJob,
  ends: InstanceEnd[],
  directories: string[],
): Promise<Next> {
  const { document, progress } = training
  const has = (reason: InstanceEnd['reason']) => ends.find((end) => end.reason === reason)
  const bad = ends.findIndex(({ reason, code }) => reason === 'exited' && code !== 0)
  if (has('deadline')) return end({ status: 'Stopped', secondary: 'MaxRuntimeExceeded' })
  if (has('interrupted')) {
    const waitMs = (document.StoppingCondition?.MaxWaitTimeInSeconds ?? Infinity) * 1000
    if (Date.now() - training.createdMs > waitMs) {
      return end({ status: 'Stopped', secondary: 'MaxWaitTimeExceeded' })
    }
    return { kind: 'interrupted' }
  }
  const lost = has('lost')
  if (lost) {
    if (progress.retries < (document.RetryStrategy?.MaximumRetryAttempts ?? 0)) {
      return { kind: 'retry' }
    }
    return failed('InternalServerError: The process that watched over the job was killed.')
  }
  for (const [index, { reason }] of ends.entries()) {
    const directory = directories[index] ?? ''
    if (reason === 'not-started') {
      return failed(`InternalServerError: ${await lastLogLine(directory)}`)
    }
    if (reason === 'memory' || reason === 'processes' || reason === 'disk') {
      return failed(`AlgorithmError: ${await overLimit(directory, reason)}, exit code: 137`)
    }
  }
  if (bad >= 0) {
    return failed(await failureText(ends[bad], directories[bad] ?? ''))
  }
  if (has('stopped')) return end({ status: 'Stopped', secondary: 'Stopped' })
  return end({ status: 'Completed', secondary: 'Completed' })
}

function end(outcome: Outcome): Next {
  return { kind: 'end', outcome }
}

function failed(reason: string): Next {
  return end({
    status: 'Failed',
    secondary: 'Failed',
    failureReason: reason.slice(0, FAILURE_CHARACTERS),
  })
}

async function specOf(directory: string): Promise<InstanceSpec> {
  // Written by `startInstance` from the same type.
  return JSON.parse(await readFile(join(directory, 'spec.json'), 'utf8')) as InstanceSpec
}

async function overLimit(directory: string, reason: 'memory' | 'processes' | 'disk') {
  const { limits } = await specOf(directory)
  switch (reason) {
    case 'memory':
      return `The job was ended because it held more memory than the ${limits.memoryBytes} bytes that its instance type has here`
    case 'processes':
      return `The job was ended because it started more than ${limits.processes} processes`
    case 'disk':
      return `The job was ended because it wrote more than the ${limits.diskBytes} bytes of its volume (VolumeSizeInGB)`
  }
}

/** What the job says of its failure, else what SageMaker's training toolkit would say of it. */
async function failureText(end: InstanceEnd | undefined, directory: string): Promise<string> {
  const code = end?.code ?? 137
  const file = await findOwnPath(directory, join('ml', 'output', 'failure'))
  const told = file === undefined ? '' : await readFile(file, 'utf8').catch(() => '')
  if (told.trim() !== '') {
    return `AlgorithmError: ${told.slice(0, FAILURE_CHARACTERS - 64)}, exit code: ${code}`
  }
  const { steps } = await specOf(directory)
  const command = (steps[end?.step ?? 0] ?? []).join(' ')
  const lines = (end?.errorOutput ?? '').split('\n').filter((line) => line.trim() !== '')
  const message = lines.slice(-ERROR_LINES).join('\n')
  const head = `AlgorithmError: ExecuteUserScriptError:\nExitCode ${code}\nErrorMessage "`
  const tail = `"\nCommand "${command.slice(0, 300)}", exit code: ${code}`
  // The end of a message says what has happened.
  return `${head}${message.slice(-(FAILURE_CHARACTERS - head.length - tail.length))}${tail}`
}

async function lastLogLine(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'output.log'), 'utf8').catch(() => '')
  return (
    text
      .trimEnd()
      .split('\n')
      .at(-1)
      ?.replace(/^\d+ (\[millrace\] )?/, '') ?? ''
  )
}
