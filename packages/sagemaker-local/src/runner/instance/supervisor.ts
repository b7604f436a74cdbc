import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { callAt } from './call-at.ts'
import { cpuList } from './cpu-list.ts'
import type {
  Beginning,
  EndReason,
  InstanceEnd,
  InstanceSpec,
  InstanceStart,
} from './instance-spec.ts'
import { createMetricReader } from './metric-patterns.ts'
import { createOutputLog, type OutputLog } from './output-log.ts'
import { startPipes } from './pipe-channels.ts'
import { enterPrivateRoot, ML_FOLDER } from './private-root.ts'
import { birthOf } from './process-birth.ts'
import { watchResources } from './resource-watch.ts'

/** How long what a job leaves behind may go on writing to its output. */
const LEFT_OVER_MS = 1_000
const FOLDER_LOOK_MS = 1_000
/** The kernel counts threads, which are worth less than processes. */
const THREADS_PER_PROCESS = 4
/** How a shell tells that its program was ended by SIGXFSZ. */
const FILE_TOO_LARGE = 128 + 25

/**
 * Supervises one instance as a process of its own: `node supervisor.ts <folder of the instance> <PATH>`.
 * It outlives the runner, and what it learns stands in files. In namespaces it is the first process,
 * so that nothing of the job survives it.
 *
 * The folder of the instance may be hidden later: it stays reachable as the working directory.
 */
const [, , directory = '', toolPath = ''] = process.argv
process.chdir(directory)
// Written by `startInstance` from the same type.
const spec = JSON.parse(readFileSync('spec.json', 'utf8')) as InstanceSpec

const startedMs = Date.now()
const usualScore =
  process.platform === 'linux' ? readFileSync('/proc/self/oom_score_adj', 'latin1') : '0'
// Before anybody can know whom to tell to end: the first process of a namespace does not hear what it
// has no handler for.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => end('stopped'))
takeInstance()

const metricsFile = openSync('metrics.jsonl', 'a')
const log: OutputLog = createOutputLog({
  file: openSync('output.log', 'a'),
  bytesMax: spec.limits.logBytes,
  onLines: (lines, timeMs) => readMetrics(lines, timeMs),
})
const readMetrics = createMetricReader(spec.metrics, metricsFile, (line) => log.say(line))

// The cache of compiled code may be hidden in a moment.
flushCompileCache()

let reason: EndReason = 'exited'
let running: ChildProcess | undefined
let currentStep = 0
let root = ''

try {
  if (spec.isolation.kind !== 'none') root = enterPrivateRoot(spec)
} catch (error) {
  log.say(`[millrace] ${error instanceof Error ? error.message : String(error)}`)
  reportEnd({ reason: 'not-started', step: 0 })
}

// Whoever removes the folder of an instance wants no more of it, and nobody could learn its end.
setInterval(() => {
  if (statSync('.').nlink > 0) return
  signalJob('SIGKILL')
  process.exit(1)
}, FOLDER_LOOK_MS)
let isWaiting = spec.waits === true
const { deadlineMs, interruptAfterMs } = isWaiting ? await beginning() : {}
if (deadlineMs !== undefined) {
  callAt(deadlineMs, () => end('deadline'))
}
if (interruptAfterMs !== undefined) setTimeout(() => end('interrupted'), interruptAfterMs)
const folders =
  spec.isolation.kind === 'none'
    ? ['ml', 'tmp']
    : [join(root, ML_FOLDER), join(root, '/tmp'), ...(root === '' ? [] : ['upper'])]
watchResources({
  limits: spec.limits,
  folders,
  ancestor: spec.isolation.kind === 'none' ? process.pid : undefined,
  onExceeded: (exceeded) => end(exceeded),
})
startPipes(spec, (line) => log.say(line))

await runSteps()

/** Fails when another supervisor has the instance, which then goes on without this one. */
function takeInstance(): void {
  const start: InstanceStart = {
    // In a process namespace of its own it is 1 by itself, and another number to everybody else.
    pid: process.platform === 'linux' ? Number(readlinkSync('/proc/self')) : process.pid,
    bornAt: birthOf('self') ?? '',
    startedMs,
  }
  writeFileSync('started.json', `${JSON.stringify(start)}\n`, { flag: 'wx', flush: true })
}

/**
 * Waits to be told to begin, and records that it was before anything of the job is started. When
 * whoever could tell it is gone, so is this process.
 */
async function beginning(): Promise<Beginning> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk
    if (!text.endsWith('\n')) continue
    writeFileSync('begun.json', text, { flag: 'wx', flush: true })
    isWaiting = false
    // Written by `armInstance` from the same type.
    return JSON.parse(text) as Beginning
  }
  process.exit(0)
}

async function runSteps(): Promise<void> {
  for (const [step, command] of spec.steps.entries()) {
    currentStep = step
    const { code, signal } = await runStep(command)
    if (signal === 'SIGXFSZ' || code === FILE_TOO_LARGE) end('disk')
    const isLast = step === spec.steps.length - 1
    if (reason !== 'exited' || code !== 0 || isLast) reportEnd({ reason, code, signal, step })
  }
}

function runStep([file = '', ...args]: string[]) {
  return new Promise<{ code?: number; signal?: string }>((resolve) => {
    const [program, ...rest] = confined([file, ...args])
    // What it starts gets this from it. When the machine has no memory left, a job is to go first.
    giveUpFirst(true)
    const child = spawn(program ?? file, rest, {
      cwd: root === '' ? spec.workingDirectory : '/',
      env: spec.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    giveUpFirst(false)
    running = child
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => log.add('output', chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => log.add('error', chunk))
    child.once('error', (error) => {
      log.add('error', `${error.message}\n`)
      resolve({ code: 127 })
    })
    child.once('exit', (code, signal) => {
      const ended = { ...(code === null ? {} : { code }), ...(signal === null ? {} : { signal }) }
      const left = setTimeout(() => resolve(ended), LEFT_OVER_MS)
      child.once('close', () => {
        clearTimeout(left)
        resolve(ended)
      })
    })
  })
}

function giveUpFirst(isFirst: boolean): void {
  if (process.platform !== 'linux') return
  // What is written back was there before, which anybody may.
  writeFileSync('/proc/self/oom_score_adj', isFirst ? '1000' : usualScore)
}

/** The command with what confines it: limits of the kernel, and a user who may do nothing else. */
function confined(command: string[]): string[] {
  const { isolation, limits, workingDirectory } = spec
  if (process.platform !== 'linux') return command
  const cpus = cpuList(allowedCpus(), limits.cpus, spec.number ?? 0)
  const limited = [
    tool('prlimit'),
    '--core=0',
    `--fsize=${limits.diskBytes}`,
    ...(isolation.kind === 'none' ? [] : [`--nproc=${limits.processes * THREADS_PER_PROCESS}`]),
    '--',
    ...(cpus === undefined ? [] : [tool('taskset'), '--cpu-list', cpus]),
  ]
  if (root !== '') {
    const user =
      isolation.kind === 'namespaces'
        ? [`--setgid=${isolation.userId}`, `--setuid=${isolation.userId}`]
        : []
    const entered = [tool('unshare'), `--root=${root}`, `--wd=${workingDirectory}`, ...user, '--']
    return [...limited, tool('setpriv'), '--no-new-privs', '--', ...entered, ...command]
  }
  if (isolation.kind !== 'namespaces') return [...limited, ...command]
  const { userId } = isolation
  const user = [`--reuid=${userId}`, `--regid=${userId}`, '--clear-groups']
  const powerless = ['--no-new-privs', '--inh-caps=-all', '--bounding-set=-all']
  return [...limited, tool('setpriv'), ...user, ...powerless, '--', ...command]
}

function allowedCpus(): string {
  return (
    /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'
  )
}

/** A program of the machine's by its path: the job's own PATH may know others, or none. */
function tool(name: string): string {
  return (
    toolPath
      .split(':')
      .map((folder) => join(folder, name))
      .find((path) => existsSync(path)) ?? name
  )
}

/** Tells the job to end, for the first reason that there is; makes it end if it takes too long. */
function end(why: EndReason): void {
  if (reason !== 'exited') return
  reason = why
  if (isWaiting) reportEnd({ reason, step: 0 })
  const isPolite = why === 'stopped' || why === 'deadline' || why === 'interrupted'
  signalJob(isPolite ? 'SIGTERM' : 'SIGKILL')
  setTimeout(
    () => {
      signalJob('SIGKILL')
      // What has not gone by then goes with this process, the first one of its namespace.
      setTimeout(() => reportEnd({ reason, step: currentStep, signal: 'SIGKILL' }), LEFT_OVER_MS)
    },
    isPolite ? spec.graceMs : 0,
  )
}

function signalJob(signal: NodeJS.Signals): void {
  try {
    // All that the process may signal is, in a namespace, all that the job has started.
    if (spec.isolation.kind !== 'none' && signal === 'SIGKILL') process.kill(-1, signal)
    else if (running?.pid !== undefined) process.kill(-running.pid, signal)
  } catch {
    // It has ended by itself.
  }
}

function reportEnd(
  ended: Pick<InstanceEnd, 'reason' | 'step'> & {
    code?: number | undefined
    signal?: string | undefined
  },
): never {
  signalJob('SIGKILL')
  log.end()
  const { code, signal } = ended
  const report: InstanceEnd = {
    reason: ended.reason,
    step: ended.step,
    ...(code === undefined ? {} : { code }),
    ...(signal === undefined ? {} : { signal }),
    errorOutput: log.errorOutput(),
    startedMs,
    endedMs: Date.now(),
  }
  writeFileSync('exit.partial', `${JSON.stringify(report)}\n`, { flush: true })
  renameSync('exit.partial', 'exit.json')
  process.exit(0)
}
