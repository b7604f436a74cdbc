import { expect, test, vi } from 'vitest'
import { birthOf } from '../src/runner/instance/process-birth.ts'
import { jobKinds } from '../src/runner/job-kinds.ts'
import { runJobs } from '../src/runner/runner.ts'
import { startRunner } from '../src/runner/runner-process.ts'
import { startTestPlane } from './start-test-plane.ts'
import { trainingClient } from './training-client.ts'

// A runner is started twice, and has seconds to say that it lives.
vi.setConfig({ testTimeout: 90_000 })

const TRAIN = '#!/bin/sh\necho started\nsleep 2\necho ended\n'

/** A plane whose runner has been stopped in the middle of a job, so that it lives and does nothing. */
async function withHungRunner(hungAfterMs: number) {
  const running = await startTestPlane({ hasRunner: false })
  const runner = startRunner(running.plane.settings, { hungAfterMs })
  const client = await trainingClient(running)
  await client.create('hung', await client.image(TRAIN))
  await client.until(
    async () => (await client.lines('hung')).flat().includes('started') || undefined,
  )
  const pid = runner.pid() ?? 0
  process.kill(pid, 'SIGSTOP')
  return {
    pid,
    client,
    settings: running.plane.settings,
    async [Symbol.asyncDispose]() {
      await runner[Symbol.asyncDispose]()
      await running[Symbol.asyncDispose]()
    },
  }
}

test('a runner that lives and says nothing is replaced, and its job goes on and runs once', async () => {
  await using hung = await withHungRunner(5_000)

  expect((await hung.client.ended('hung')).TrainingJobStatus).toBe('Completed')
  expect(await hung.client.lines('hung')).toEqual([['started', 'ended']])
  expect(birthOf(hung.pid)).toBeUndefined()
})

test('a runner that does not step aside for a newer one is killed by it', async () => {
  await using hung = await withHungRunner(600_000)
  const end = new AbortController()
  const log: string[] = []

  const newer = runJobs({
    settings: hung.settings,
    kinds: jobKinds,
    signal: end.signal,
    orphaned: new AbortController().signal,
    stepAsideMs: 500,
    log: (line) => log.push(line),
  })

  expect((await hung.client.ended('hung')).TrainingJobStatus).toBe('Completed')
  expect(await hung.client.lines('hung')).toEqual([['started', 'ended']])
  end.abort()
  await newer
  expect(log).toContain(`The other runner, ${hung.pid}, hangs and is killed.`)
})
