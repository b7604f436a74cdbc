import { spawn } from 'node:child_process'

export interface ProgramResult {
  /** The exit code; undefined when the program could not be started or was ended by a signal. */
  status: number | undefined
  lastLines: string[]
}

export interface RunOptions {
  environment: NodeJS.ProcessEnv
  /** Ends the program. */
  signal: AbortSignal
  /** Where it runs; where this process does, when there is none. */
  directory?: string
}

const LAST_CHARACTERS = 20_000

/** Runs a program to its end, without a shell and without input, and keeps what it wrote last; aborting ends it. */
export function runProgram(
  file: string,
  args: string[],
  { environment, signal, directory }: RunOptions,
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    let written = ''
    const keep = (chunk: string) => {
      written = (written + chunk).slice(-LAST_CHARACTERS)
    }
    const end = (status: number | undefined) => {
      const lastLines = written.split('\n').filter((line) => line.trim() !== '')
      resolve({ status, lastLines })
    }
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
      signal,
      ...(directory !== undefined && { cwd: directory }),
    })
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.once('error', (error) => {
      keep(error.message)
      end(undefined)
    })
    child.once('close', (code) => end(code ?? undefined))
  })
}
