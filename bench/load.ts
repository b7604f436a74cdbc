import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Seeds } from './workloads.ts'

/** Requests of one kind to one server. */
export interface Load {
  port: number
  /** A name in `workloads`. */
  workload: string
  seeds: Seeds
  connections: number
  warmupMs: number
  measureMs: number
  /** First value of the counters that make requests differ; each request takes 100. */
  counterStart: number
}

export interface LoadReport {
  /** Of every good answer to a request sent after the warm-up. */
  latenciesMs: number[]
  /** Good answers that came within the measured time. */
  inWindow: number
  /** Every answer, those of the warm-up included. */
  answered: number
  /** Requests that were still open seconds after the end. */
  stuck: number
  /** Everything else that came back, with its count. */
  errors: Record<string, number>
  /** CPU time of the generator, warm-up included. */
  cpuMs: number
}

/** The process that sends requests. */
export interface LoadGenerator {
  run(load: Load): Promise<LoadReport>
  stop(): void
}

/** Starts the generator. */
export function startLoadGenerator(): LoadGenerator {
  const child = fork(join(import.meta.dirname, 'load-generator.ts'), [], {
    serialization: 'advanced',
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`The load generator ended with ${code}`)
  })
  ended.catch(() => {})
  return {
    async run(load) {
      const answered = once(child, 'message')
      child.send(load)
      const [report] = await Promise.race([answered, ended])
      return report as LoadReport
    },
    stop: () => child.kill(),
  }
}
