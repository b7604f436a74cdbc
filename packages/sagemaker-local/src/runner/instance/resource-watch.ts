import { readdirSync, readFileSync } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import type { EndReason, InstanceLimits } from './instance-spec.ts'

const LOOK_MS = 200
const DISK_LOOK_MS = 1_000
const PAGE_BYTES = 4096

export interface ResourceWatch {
  limits: InstanceLimits
  /** Folders whose sizes count. */
  folders: string[]
  /** The process whose descendants count; undefined for everything that /proc shows. */
  ancestor: number | undefined
  onExceeded: (reason: EndReason & ('memory' | 'processes' | 'disk')) => void
}

/** Looks several times a second whether the processes of an instance keep within their limits. */
export function watchResources({
  limits,
  folders,
  ancestor,
  onExceeded,
}: ResourceWatch): Disposable {
  const timer =
    process.platform === 'linux'
      ? setInterval(() => {
          // Counting names is a hundredth of the work, and must not fall behind a job that forks.
          if (ancestor === undefined && countProcesses() > limits.processes) {
            return onExceeded('processes')
          }
          const { count, bytes } = usage(ancestor, limits.memoryBytes)
          if (count > limits.processes) onExceeded('processes')
          else if (bytes > limits.memoryBytes) onExceeded('memory')
        }, LOOK_MS)
      : undefined
  let isOver = false
  let diskTimer: NodeJS.Timeout | undefined
  const lookAtDisk = async () => {
    const startedMs = performance.now()
    let bytes = 0
    for (const folder of folders) bytes += await folderBytes(folder)
    if (isOver) return
    if (bytes > limits.diskBytes) onExceeded('disk')
    // A large tree is looked at less often, so that looking takes a twentieth of the time at most.
    const pauseMs = Math.max(DISK_LOOK_MS, 20 * (performance.now() - startedMs))
    diskTimer = setTimeout(() => void lookAtDisk(), pauseMs)
  }
  void lookAtDisk()
  return {
    [Symbol.dispose]() {
      isOver = true
      clearInterval(timer)
      clearTimeout(diskTimer)
    },
  }
}

function countProcesses(): number {
  return readdirSync('/proc').filter((name) => /^\d/.test(name)).length - 1
}

interface Process {
  parent: number
  bytes: number
}

/** Living processes but this one: their number and the memory that they hold. */
function usage(ancestor: number | undefined, limitBytes: number): { count: number; bytes: number } {
  const processes = new Map<number, Process>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const found = readProcess(pid)
    if (found) processes.set(pid, found)
  }
  const counted = [...processes].filter(
    ([pid]) => ancestor === undefined || descends(pid, ancestor, processes),
  )
  let bytes = 0
  for (const [, found] of counted) bytes += found.bytes
  // Pages that processes share are in the sizes of each: they are told apart only when it matters.
  if (bytes > limitBytes) {
    bytes = 0
    for (const [pid, found] of counted) bytes += ownBytes(pid) ?? found.bytes
  }
  return { count: counted.length, bytes }
}

/** What a process holds, with its share of what it has in common with others. */
function ownBytes(pid: number): number | undefined {
  try {
    const kilobytes = /^Pss:\s+(\d+)/m.exec(
      readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'),
    )?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}

function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z') return undefined
    return { parent: Number(fields[1]), bytes: Number(fields[21]) * PAGE_BYTES }
  } catch {
    // It has ended meanwhile.
    return undefined
  }
}

function descends(pid: number, ancestor: number, processes: Map<number, Process>): boolean {
  for (let at = pid; at > 1; at = processes.get(at)?.parent ?? 0) if (at === ancestor) return true
  return false
}

/** What a folder takes on disk, without following links. */
async function folderBytes(folder: string): Promise<number> {
  let bytes = 0
  try {
    for await (const entry of await opendir(folder)) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) bytes += await folderBytes(path)
      else if (entry.isFile()) bytes += await lstat(path).then(({ blocks }) => blocks * 512)
    }
  } catch {
    // Removed while it was looked at.
  }
  return bytes
}
