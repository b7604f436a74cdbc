import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HeadObjectCommand } from '@aws-sdk/client-s3'
import { StopTrainingJobCommand } from '@aws-sdk/client-sagemaker'
import { expect, test, vi } from 'vitest'
import { birthOf } from '../src/runner/instance/process-birth.ts'
import { startTestPlane } from './start-test-plane.ts'
import { BUCKET, trainingClient, until } from './training-client.ts'

// Processes are started, killed and started again, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 90_000 })

/** A job that says when it has been started and ends after some time. */
const counting = (seconds: number) => `#!/bin/sh
echo started
sleep ${seconds}
echo done > /opt/ml/model/w
echo ended
`

test('jobs outlive a runner that is killed, are adopted, and run once', async () => {
  await using running = await startTestPlane()
  const client = await trainingClient(running)
  const image = await client.image(counting(3))
  for (const name of ['adopted-1', 'adopted-2', 'queued']) await client.create(name, image)
  await client.until(async () => {
    const lines = await Promise.all(['adopted-1', 'adopted-2'].map(client.lines))
    return lines.every((streams) => streams[0]?.includes('started')) || undefined
  })
  const killed = running.plane.runner?.pid()

  process.kill(killed ?? 0, 'SIGKILL')

  for (const name of ['adopted-1', 'adopted-2', 'queued']) {
    const job = await client.ended(name)
    expect(job.TrainingJobStatus).toBe('Completed')
    expect(await client.lines(name)).toEqual([['started', 'ended']])
    expect(await client.archive(`out/${name}/output/model.tar.gz`)).toEqual({ w: 'done\n' })
    const trained = job.SecondaryStatusTransitions?.filter(({ Status }) => Status === 'Training')
    expect(trained).toHaveLength(1)
  }
  expect(running.plane.runner?.pid()).not.toBe(killed)
})

test('a runner that is killed again and again loses no job and runs none twice', async () => {
  await using running = await startTestPlane()
  const client = await trainingClient(running)
  const image = await client.image(counting(0.2))
  const names = Array.from({ length: 6 }, (_, index) => `often-${index}`)
  for (const name of names) await client.create(name, image)
  const states = new Set<string>()

  for (let kills = 0; kills < 4; kills += 1) {
    const pid = await client.until(async () => running.plane.runner?.pid())
    await client.until(async () => {
      const all = await Promise.all(names.map(client.describe))
      const state = all.map(({ SecondaryStatus }) => SecondaryStatus).join()
      const isNew = !states.has(state)
      states.add(state)
      return (
        isNew ||
        all.every(({ TrainingJobStatus }) => TrainingJobStatus === 'Completed') ||
        undefined
      )
    })
    process.kill(pid, 'SIGKILL')
    await client.until(async () => running.plane.runner?.pid() !== pid || undefined)
  }

  for (const name of names) {
    expect((await client.ended(name)).TrainingJobStatus).toBe('Completed')
    const lines = (await client.lines(name)).flat()
    expect(lines.filter((line) => line === 'started')).toHaveLength(1)
  }
})

test('a job whose supervisor is killed has failed, or is tried again when the client wants that', async () => {
  await using running = await startTestPlane()
  const client = await trainingClient(running)
  const image = await client.image(counting(2))
  await client.create('lost', image)
  await client.create('retried', image, { RetryStrategy: { MaximumRetryAttempts: 1 } })
  const supervisor = (name: string) =>
    client.until(async () => {
      const lines = await client.lines(name)
      if (!lines[0]?.includes('started')) return undefined
      const folder = join(running.directory, 'jobs', 'training-job', name, 'attempt-0', 'algo-1')
      return (JSON.parse(await readFile(join(folder, 'started.json'), 'utf8')) as { pid: number })
        .pid
    })

  for (const name of ['lost', 'retried']) process.kill(await supervisor(name), 'SIGKILL')

  const lost = await client.ended('lost')
  expect(lost.FailureReason).toMatch(/^InternalServerError: /)
  const retried = await client.ended('retried')
  expect(retried.TrainingJobStatus).toBe('Completed')
  expect(retried.SecondaryStatusTransitions?.map(({ Status }) => Status)).toContain('Restarting')
})

test('jobs go on to their end while the API process is dead, and the next one takes over', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-plane-'))
  let first: ChildProcess | undefined
  try {
    first = spawn(process.execPath, [join(import.meta.dirname, 'plane-program.ts'), directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [url] = (await once(first.stdout ?? first, 'data')) as [Buffer]
    const endpoint = url.toString().trim()
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
    const before = await trainingClient({
      url: endpoint,
      directory,
      client: { endpoint, region: 'us-east-1', credentials, maxAttempts: 1 },
    })
    const image = await before.image(counting(1))
    await before.create('orphan', image)
    await before.create('stopping', await before.image('#!/bin/sh\nsleep 60\n'))
    await before.until(async () => (await before.lines('orphan')).flat()[0])

    first.kill('SIGKILL')
    await once(first, 'exit')

    // Nobody answers, so that the end of the job is seen in its files.
    const folder = join(directory, 'jobs', 'training-job', 'orphan', 'attempt-0', 'algo-1')
    await until(async () => {
      const names = await readdir(folder)
      return (names.includes('exit.json') && !names.includes('ml')) || undefined
    })
    await using running = await startTestPlane({ directory })
    const client = await trainingClient(running, { hasBucket: true })
    expect((await client.ended('orphan')).TrainingJobStatus).toBe('Completed')
    expect(await client.lines('orphan')).toEqual([['started', 'ended']])
    await client.sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: 'stopping' }))
    expect((await client.ended('stopping')).TrainingJobStatus).toBe('Stopped')
  } finally {
    first?.kill('SIGKILL')
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  }
})

test('the next job is made ready while the place is taken, whoever is killed meanwhile, and runs once', async () => {
  await using running = await startTestPlane({ places: 1 })
  const client = await trainingClient(running)
  const image = await client.image(counting(60))
  await client.create('first', image)
  await client.create('next', await client.image(counting(0.1)))
  await client.create('last', await client.image(counting(0.1)))
  await client.until(async () => (await client.lines('first')).flat()[0])
  const folder = folderOf(running.directory, 'next')
  const ready = await startOf(folder)
  expect((await client.describe('next')).SecondaryStatus).toBe('Pending')

  process.kill(ready, 'SIGKILL')
  process.kill(running.plane.runner?.pid() ?? 0, 'SIGKILL')
  await client.until(async () => ((await startOf(folder)) === ready ? undefined : true))
  process.kill(await startOf(folder), 'SIGKILL')
  expect(await readdir(folder)).not.toContain('begun.json')
  await client.sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: 'first' }))

  for (const name of ['next', 'last']) {
    const job = await client.ended(name)
    expect(job.TrainingJobStatus).toBe('Completed')
    expect(await client.lines(name)).toEqual([['started', 'ended']])
    // Nobody pays for waiting.
    expect(job.TrainingTimeInSeconds).toBeLessThan(30)
  }
  expect((await client.ended('first')).TrainingJobStatus).toBe('Stopped')
})

test('a place is free before the results of its job are stored, and a runner killed then stores them', async () => {
  await using running = await startTestPlane({ places: 1 })
  const client = await trainingClient(running)
  const big = await client.image(
    '#!/bin/sh\nhead -c 40000000 /dev/urandom > /opt/ml/model/w\necho once\n',
  )
  await client.create('large', big)
  await client.create('small', await client.image(counting(0.1)))
  await client.until(async () =>
    (await client.describe('large')).SecondaryStatus === 'Uploading' ? true : undefined,
  )

  process.kill(running.plane.runner?.pid() ?? 0, 'SIGKILL')

  const [large, small] = await Promise.all(['large', 'small'].map(client.ended))
  expect([large?.TrainingJobStatus, small?.TrainingJobStatus]).toEqual(['Completed', 'Completed'])
  expect(await client.lines('large')).toEqual([['once']])
  const begun = small?.SecondaryStatusTransitions?.find(({ Status }) => Status === 'Training')
  expect(begun?.StartTime?.getTime()).toBeLessThan(large?.TrainingEndTime?.getTime() ?? 0)
  const model = await client.s3.send(
    new HeadObjectCommand({ Bucket: BUCKET, Key: 'out/large/output/model.tar.gz' }),
  )
  expect(model.ContentLength).toBeGreaterThan(40_000_000)
})

test('a job that is stopped while it waits ready is stopped and was never run', async () => {
  await using running = await startTestPlane({ places: 1 })
  const client = await trainingClient(running)
  await client.create('busy', await client.image(counting(60)))
  await client.create('waiting', await client.image(counting(0.1)))
  const supervisor = await startOf(folderOf(running.directory, 'waiting'))

  await client.sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: 'waiting' }))

  expect((await client.ended('waiting')).TrainingJobStatus).toBe('Stopped')
  expect(await client.lines('waiting')).toEqual([[]])
  await until(async () => birthOf(supervisor) === undefined || undefined)
  await client.sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: 'busy' }))
  await client.ended('busy')
})

function folderOf(directory: string, job: string): string {
  return join(directory, 'jobs', 'training-job', job, 'attempt-0', 'algo-1')
}

/** The process that has an instance, once there is one. */
async function startOf(folder: string): Promise<number> {
  return until(async () => {
    const text = await readFile(join(folder, 'started.json'), 'utf8').catch(() => '')
    return text.endsWith('\n') ? (JSON.parse(text) as { pid: number }).pid : undefined
  })
}

test('two control planes do not share a data directory', async () => {
  await using running = await startTestPlane({ hasRunner: false })

  await expect(startTestPlane({ directory: running.directory, hasRunner: false })).rejects.toThrow(
    `Another control plane has the data directory ${running.directory}`,
  )
})

test('a job whose files are removed ends, though nobody is there to stop it', async () => {
  let supervisor = 0
  {
    await using running = await startTestPlane()
    const client = await trainingClient(running)
    await client.create('forgotten', await client.image('#!/bin/sh\nsleep 60\n'))
    supervisor = await startOf(folderOf(running.directory, 'forgotten'))
    expect(birthOf(supervisor)).toBeDefined()
  }

  await until(async () => birthOf(supervisor) === undefined || undefined)
})
