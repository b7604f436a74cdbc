import { spawn } from 'node:child_process'
import { invalid } from '@millrace/api/errors'

/** Where git may go: nothing that a URL could name as a command (`ext::`). */
const REMOTE_PROTOCOLS = 'https:http:ssh:git'
const OUTPUT_CHARACTERS_MAX = 200_000
// A repository's own settings may name programs; these are the ones that our commands would start.
const SAFE_SETTINGS = ['core.fsmonitor=false', 'core.hooksPath=/dev/null', 'gc.auto=0']

export interface GitOptions {
  environment: NodeJS.ProcessEnv
  signal: AbortSignal
  /** Also from this machine's files. */
  allowsFiles?: boolean
}

/** What git wrote, and whether it liked what it was told. */
export interface GitAnswer {
  ok: boolean
  output: string
  /** Its last lines of complaint, as one. */
  complaint: string
}

/**
 * Runs git in a directory, never asking a person anything.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when there is no git
 */
export function runGit(directory: string, args: string[], options: GitOptions): Promise<GitAnswer> {
  const { environment, signal, allowsFiles = false } = options
  const settings = SAFE_SETTINGS.flatMap((setting) => ['-c', setting])
  const { promise, resolve, reject } = Promise.withResolvers<GitAnswer>()
  const child = spawn('git', [...settings, ...args], {
    cwd: directory,
    signal,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      GIT_SSH_COMMAND: 'ssh -oBatchMode=yes',
      ...withoutRepository(environment),
      GIT_TERMINAL_PROMPT: '0',
      GIT_ALLOW_PROTOCOL: allowsFiles ? `${REMOTE_PROTOCOLS}:file` : REMOTE_PROTOCOLS,
      LC_ALL: 'C',
    },
  })
  let output = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output = (output + chunk).slice(0, OUTPUT_CHARACTERS_MAX)
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaint = (complaint + chunk).slice(-2_000)
  })
  child.once('error', (error: NodeJS.ErrnoException) =>
    reject(
      error.code === 'ENOENT'
        ? invalid('There is no git on PATH: install it, or name the project by a directory or zip.')
        : error,
    ),
  )
  child.once('close', (code) => {
    const lines = complaint.split('\n').filter((line) => /^(fatal|error|remote):/.test(line))
    resolve({
      ok: code === 0,
      output: output.trim(),
      complaint: lines.join(' ') || complaint.trim(),
    })
  })
  return promise
}

/** What git exports to its hooks would make it look at another repository than the one it is in. */
function withoutRepository(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { GIT_DIR: _dir, GIT_WORK_TREE: _tree, GIT_INDEX_FILE: _index, ...rest } = environment
  return rest
}
