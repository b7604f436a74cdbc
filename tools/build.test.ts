import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import bundle from '../packages/cli/bin/bundle.cjs'
import { build } from './build.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-build-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('the bundle alone, far from the sources, serves runs and trains', {
  timeout: 360_000,
}, async () => {
  await build(join(folder, 'bundle'))
  await servesRuns()
  await trains()
})

async function servesRuns(): Promise<void> {
  const database = `sqlite:///${join(folder, 'tracking.db')}`
  await using server = await startBundled('server', '--backend-store-uri', database)
  const api = `${server.url}/api/2.0/mlflow/experiments`
  const created = await fetch(`${api}/create`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bundled' }),
  })
  expect(await created.json()).toEqual({ experiment_id: '1' })
  const found = await fetch(`${api}/get-by-name?experiment_name=bundled`)
  expect(await found.json()).toMatchObject({ experiment: { experiment_id: '1' } })
}

/** A job takes all three: the control plane, its runner and a supervisor. */
async function trains(): Promise<void> {
  const image = join(folder, 'image')
  write(join(image, 'train'), '#!/bin/sh\necho trained > /opt/ml/model/model.txt\n')
  chmodSync(join(image, 'train'), 0o755)
  await using plane = await startBundled('sagemaker-local', '--data-dir', join(folder, 'plane'))
  const { url } = plane
  expect((await fetch(`${url}/models`, { method: 'PUT' })).status).toBe(200)
  const TrainingJobName = 'bundled'
  await call(url, 'CreateTrainingJob', {
    TrainingJobName,
    RoleArn: 'arn:aws:iam::123456789012:role/anybody',
    AlgorithmSpecification: { TrainingImage: `local:${image}`, TrainingInputMode: 'File' },
    OutputDataConfig: { S3OutputPath: 's3://models/out' },
    ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
    StoppingCondition: { MaxRuntimeInSeconds: 60 },
  })
  await expect
    .poll(() => call(url, 'DescribeTrainingJob', { TrainingJobName }), { timeout: 180_000 })
    .toMatchObject({ TrainingJobStatus: expect.stringMatching(/^(Completed|Failed)$/) })
  expect(await call(url, 'DescribeTrainingJob', { TrainingJobName })).toMatchObject({
    TrainingJobStatus: 'Completed',
  })
}

async function call(url: string, operation: string, input: object): Promise<unknown> {
  const headers = { 'x-amz-target': `SageMaker.${operation}` }
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(input) })
  return await answer.json()
}

/** A command of the bundle that says where it is. */
async function startBundled(...command: string[]) {
  const child = spawn(
    process.execPath,
    [join(folder, 'bundle', 'main.js'), ...command, '--port', '0'],
    { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const end = async () => {
    child.kill('SIGTERM')
    await ended
  }
  try {
    return { url: await findUrl(child.stdout), [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

async function findUrl(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface(output)) {
    const [url] = /http:[^\s,]+/.exec(line) ?? []
    if (url !== undefined) return url
  }
  throw new Error('the server ended before it said where it is')
}

describe('a bundle is taken only while its sources are as they were:', () => {
  const source = () => join(folder, 'packages', 'server', 'src', 'http', 'mount.ts')

  beforeEach(() => {
    write(join(folder, 'packages', 'cli', 'src', 'main.ts'), 'main')
    write(source(), 'mount')
    write(join(folder, 'tools', 'build.ts'), 'build')
    write(join(folder, 'package-lock.json'), '{}')
    const { main, stamp } = bundle.bundleOf(folder)
    write(main, 'bundle')
    write(stamp, bundle.describeSources(folder) ?? '')
  })

  test('nothing has changed', () => expect(bundle.isCurrent(folder)).toBe(true))

  const changes: Record<string, () => void> = {
    'a source is longer': () => write(source(), 'mount more'),
    'a source is gone': () => rmSync(source()),
    'a source is new': () => write(join(folder, 'packages', 'models', 'src', 'model.ts'), 'model'),
    'a dependency has changed': () => write(join(folder, 'package-lock.json'), '{"packages":{}}'),
    'nothing was built': () => rmSync(bundle.bundleOf(folder).folder, { recursive: true }),
  }
  test.each(Object.entries(changes))('not when %s', (_name, change) => {
    change()
    expect(bundle.isCurrent(folder)).toBe(false)
  })

  test('a test or a page that changes is not part of it', () => {
    write(source().replace('mount.ts', 'mount.test.ts'), 'test')
    write(join(folder, 'packages', 'ui', 'src', 'main.tsx'), 'page')
    expect(bundle.isCurrent(folder)).toBe(true)
  })

  test('an installed package has no sources, and its bundle is what there is', () => {
    rmSync(join(folder, 'packages', 'cli', 'src'), { recursive: true })
    expect(bundle.isCurrent(folder)).toBe(true)
  })
})

function write(file: string, text: string): void {
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, text)
}
