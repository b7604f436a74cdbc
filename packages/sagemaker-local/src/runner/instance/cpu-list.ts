/**
 * Some of the CPUs that a process may use, as `taskset` takes them: `count` of them from the `first` on
 * and around. Undefined when that would be all of them.
 *
 * @param allowed how the kernel writes a set, e.g. `0-3,8`
 */
export function cpuList(allowed: string, count: number, first: number): string | undefined {
  const cpus = allowed.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  })
  if (count >= cpus.length) return undefined
  const start = (first * count) % cpus.length
  return Array.from({ length: count }, (_, index) => cpus[(start + index) % cpus.length]).join(',')
}
