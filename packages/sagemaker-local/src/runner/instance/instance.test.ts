import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { armInstance, findStart, startInstance } from './instance.ts'
import type { InstanceSpec, InstanceStart } from './instance-spec.ts'
import { birthOf } from './process-birth.ts'

const environment = { PATH: process.env['PATH'] ?? '', HOME: tmpdir() }
const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0))
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

async function spec(steps: string[][], changes: Partial<InstanceSpec> = {}): Promise<InstanceSpec> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-instance-'))
  folders.push(directory)
  for (const name of ['ml', 'tmp', 'pipes']) await mkdir(join(directory, name))
  return {
    directory,
    steps,
    workingDirectory: join(directory, 'ml'),
    environment: { PATH: '/usr/bin:/bin' },
    hosts: [],
    isolation: { kind: 'none' },
    hasNetwork: true,
    visible: [],
    hidden: [],
    limits: { memoryBytes: 1e9, processes: 100, diskBytes: 1e8, logBytes: 1e6, cpus: 1 },
    graceMs: 300,
    metrics: [],
    pipes: [],
    ...changes,
  }
}

async function supervisorOf(directory: string): Promise<InstanceStart> {
  await expect.poll(() => findStart(directory)).toBeDefined()
  const start = await findStart(directory)
  if (!start) throw new Error('It was there a moment ago.')
  return start
}

const never = new AbortController().signal

test('an instance that is started twice at the same time runs once, and both learn its end', async () => {
  const wanted = await spec([['/bin/sh', '-c', 'echo x >> count; exit 7']])

  const instances = await Promise.all([
    startInstance(wanted, environment),
    startInstance(wanted, environment),
  ])
  const ends = await Promise.all(instances.map((instance) => instance.ended(never)))

  expect(ends.map(({ reason, code }) => [reason, code])).toEqual([
    ['exited', 7],
    ['exited', 7],
  ])
  expect(await readFile(join(wanted.directory, 'ml', 'count'), 'utf8')).toBe('x\n')
})

test('an instance that waits starts nothing before it is told, and goes when nobody can tell it', async () => {
  const wanted = await spec([['/bin/sh', '-c', 'echo x >> count']])
  const armed = await armInstance(wanted, environment)
  const first = await supervisorOf(wanted.directory)

  await armed.disarm()

  expect(birthOf(first.pid)).toBeUndefined()
  const instance = (await armInstance(wanted, environment)).begin({})
  expect(await instance.ended(never)).toMatchObject({ reason: 'exited', code: 0 })
  expect(await readFile(join(wanted.directory, 'ml', 'count'), 'utf8')).toBe('x\n')
})

test('an instance whose supervisor is killed before it begins runs, once', async () => {
  const wanted = await spec([['/bin/sh', '-c', 'echo x >> count; exit 7']])
  const armed = await armInstance(wanted, environment)
  process.kill((await supervisorOf(wanted.directory)).pid, 'SIGKILL')

  const end = await armed.begin({}).ended(never)

  expect(end).toMatchObject({ reason: 'exited', code: 7 })
  expect(await readFile(join(wanted.directory, 'ml', 'count'), 'utf8')).toBe('x\n')
})

test('an instance that has begun is adopted and not begun again', async () => {
  const wanted = await spec([['/bin/sh', '-c', 'echo x >> count; exit 7']])
  const one = await armInstance(wanted, environment)
  const ended = one.begin({}).ended(never)
  await expect
    .poll(() => readFile(join(wanted.directory, 'begun.json'), 'utf8').catch(() => ''))
    .not.toBe('')

  const adopted = (await armInstance(wanted, environment)).begin({})

  expect(await adopted.ended(never)).toEqual(await ended)
  expect(await readFile(join(wanted.directory, 'ml', 'count'), 'utf8')).toBe('x\n')
})

test('steps are run one after the other until one fails', async () => {
  const wanted = await spec([['/bin/sh', '-c', 'echo a'], ['/bin/false'], ['/bin/echo', 'never']])

  const end = await (await startInstance(wanted, environment)).ended(never)

  expect(end).toMatchObject({ reason: 'exited', code: 1, step: 1 })
  expect(await readFile(join(wanted.directory, 'output.log'), 'utf8')).toMatch(/^\d+ a\n$/)
})

test('what ignores being told to end is ended when its grace is over', async () => {
  const wanted = await spec([
    ['/bin/sh', '-c', "trap '' TERM; echo ready; sleep 30 & wait; sleep 30"],
  ])
  const armed = await armInstance(wanted, environment)

  const end = await armed.begin({ deadlineMs: Date.now() + 1_000 }).ended(never)

  expect(end).toMatchObject({ reason: 'deadline', signal: 'SIGKILL' })
})

test('a program that is not there is an end like another', async () => {
  const wanted = await spec([['/no/such/program']])

  const end = await (await startInstance(wanted, environment)).ended(never)

  expect(end.code).not.toBe(0)
  expect(end.errorOutput).toContain('/no/such/program')
})

test('a line that is not ended is told after half a second', async () => {
  const wanted = await spec([['/bin/sh', '-c', 'printf half; sleep 1; echo " and half"']])

  await (await startInstance(wanted, environment)).ended(never)

  const log = await readFile(join(wanted.directory, 'output.log'), 'utf8')
  expect(log.split('\n').map((line) => line.replace(/^\d+ /, ''))).toEqual([
    'half',
    ' and half',
    '',
  ])
})
