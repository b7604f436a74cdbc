import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import type { Client } from '@millrace/client/client'
import { createAgent, type FuzzAnswer, sendRaw } from './fuzz-client.ts'
import type { ServerProcess } from './server-process.ts'

/** Mounts a small file system of its own; undefined where that is not allowed. */
export function mountDisk(path: string, bytes: number): Disposable | undefined {
  mkdirSync(path)
  const options = ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path]
  if (spawnSync('mount', options).status !== 0) return undefined
  return { [Symbol.dispose]: () => void spawnSync('umount', ['--lazy', path]) }
}

/** Logs until a write is refused; the steps that were acknowledged, and the refusal. */
export async function fill(server: ServerProcess, run_id: string) {
  const acknowledged: number[] = []
  for (let step = 0; ; step++) {
    const answer = await logStep(server, run_id, step)
    if (answer.status !== 200) return { steps: acknowledged, refusal: answer }
    acknowledged.push(step)
  }
}

/** One connection for everything: a refused upload must leave it usable. */
export const agent = createAgent(1)

/** One step of a metric, with tags that no two requests share. */
export function logStep(
  { port }: ServerProcess,
  run_id: string,
  step: number,
): Promise<FuzzAnswer> {
  const tags = Array.from({ length: 20 }, (_, i) => ({
    key: `t${step}-${i}`,
    value: 'x'.repeat(2000),
  }))
  const metrics = [{ key: 'm', value: step, timestamp: 1, step }]
  return sendRaw(
    port,
    {
      method: 'POST',
      url: '/api/2.0/mlflow/runs/log-batch',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify({ run_id, metrics, tags })),
    },
    agent,
  )
}

/** The steps of that metric that the server has. */
export async function steps(client: Client, run_id: string): Promise<number[]> {
  const { metrics = [] } = await client.metrics.getHistory({ run_id, metric_key: 'm' })
  return metrics.map(({ step }) => Number(step)).sort((a, b) => a - b)
}
