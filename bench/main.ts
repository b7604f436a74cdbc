import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { root } from '../tools/setup/step.mjs'
import { type BenchOptions, readOptions } from './bench-options.ts'
import { measureCells } from './cells.ts'
import { measureClient } from './client-run.ts'
import { measureCommits } from './disk-limit.ts'
import { startLoadGenerator } from './load.ts'
import { echo, ensurePeer, millrace, type Peer } from './peers.ts'
import { clientTable, durabilityLines, spaceTable, startTable, workloadTables } from './report.ts'
import { measureSpace } from './space.ts'
import { measureStarts } from './start-and-memory.ts'
import { openStore } from './store.ts'
import { workloads } from './workloads.ts'

/**
 * Measures Millrace side by side with its peers, on this machine, in one run: `npm run bench`.
 * Prints tables as Markdown; everything measured goes to `.bench/` as JSON.
 */
async function bench(options: BenchOptions): Promise<void> {
  const peers: Peer[] = [millrace()]
  if (options.baseline !== undefined) peers.push(millrace('baseline', options.baseline))
  for (const name of options.peers) peers.push(await ensurePeer(name))
  const all = [...peers, echo]
  const results: Record<string, unknown> = { at: new Date().toISOString(), options }
  const has = (part: string) => options.parts.includes(part)
  const names = Object.keys(workloads).filter(has)

  print(`${machine()}\n\nStore: ${options.store}.\n\n${durabilityLines(peers, options.store)}\n`)
  if (has('start')) {
    const starts = await measureStarts(all, options.rounds, say)
    results['starts'] = starts
    print(`${startTable(starts)}\n`)
  }
  if (names.length > 0) {
    const generator = startLoadGenerator()
    const { samples, commits, failures } = await measureCells({
      ...options,
      peers: all,
      names,
      generator,
      say,
    }).finally(() => generator.stop())
    Object.assign(results, { samples, commits, failures })
    print(`${workloadTables(samples, commits, options.store)}\n`)
    for (const [peer, reason] of Object.entries(failures)) print(`${peer} failed: ${reason}\n`)
  }
  if (has('client')) {
    const clients = await measureClient(peers, options.rounds, say)
    results['clients'] = clients
    print(`${clientTable(clients)}\n`)
  }
  if (has('space')) {
    const space = await measureSpace(peers, say)
    results['space'] = space
    print(`${spaceTable(space)}\n`)
  }
  const folder = join(root, '.bench')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${new Date().toISOString().replaceAll(':', '-')}.json`)
  writeFileSync(file, JSON.stringify(results, undefined, 1))
  say(`Everything measured is in ${file}`)
}

function machine(): string {
  const { perSecond, p50Ms } = measureCommits(1)
  const memory = Math.round(totalmem() / 2 ** 30)
  return (
    `${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${memory} GiB, Node ${process.version}; ` +
    'servers, load generator and disk share them. Rates are medians.\n' +
    `One durable SQLite commit of one row: p50 ${p50Ms.toFixed(2)} ms, ${Math.round(perSecond)}/s.`
  )
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

try {
  const options = readOptions(process.argv.slice(2))
  const closeStore = await openStore(options.store)
  await bench(options).finally(closeStore)
} catch (error) {
  process.stderr.write(`${inspect(error)}\n`)
  process.exitCode = 1
}
