import { availableParallelism, totalmem } from 'node:os'

const GIB = 2 ** 30
/** Memory per virtual CPU of a family of instances, in GiB. */
const MEMORY_PER_CPU: Record<string, number> = { c: 2, m: 4, t: 4, r: 8, x: 16 }
const DEFAULT_MEMORY_PER_CPU = 8
const SIZES: Record<string, number> = { medium: 1, large: 2, xlarge: 4 }

/** What an instance type stands for: `ml.m5.xlarge` has 4 virtual CPUs and 16 GiB. */
export interface InstanceSize {
  cpus: number
  memoryBytes: number
}

/** The size that the name of an instance type says; undefined for a name of another form. */
export function instanceSize(type: string): InstanceSize | undefined {
  const [, family = '', size = ''] = /^ml\.([a-z]+)\d+[a-z]*\.([0-9a-z]+)$/.exec(type) ?? []
  const times = /^(\d+)xlarge$/.exec(size)?.[1]
  const cpus = times === undefined ? SIZES[size] : Number(times) * 4
  if (cpus === undefined) return undefined
  return { cpus, memoryBytes: cpus * (MEMORY_PER_CPU[family] ?? DEFAULT_MEMORY_PER_CPU) * GIB }
}

/**
 * What an instance gets here: what its type says, as far as this machine has it when as many jobs
 * run as may.
 */
export function localSize(type: string, places: number): InstanceSize {
  const cpus = availableParallelism()
  const memoryBytes = Math.floor((totalmem() * 0.9) / places)
  const size = instanceSize(type) ?? { cpus, memoryBytes }
  return {
    cpus: Math.min(size.cpus, cpus),
    memoryBytes: Math.min(size.memoryBytes, memoryBytes),
  }
}
