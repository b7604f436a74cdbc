import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { root } from './step.mjs'

const launch = join(root, 'packages', 'cli', 'bin', 'launch.cjs')
const millrace = join(root, 'packages', 'cli', 'bin', 'millrace.cjs')

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-setup-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** A program that answers like a Node of that version. */
function fakeNode(version: string): string {
  const file = join(folder, 'node')
  writeFileSync(file, `#!${process.execPath}\nconsole.log('${version}')\n`, { mode: 0o755 })
  return file
}

function runMillrace(node: string) {
  return spawnSync(process.execPath, [millrace, '--version'], {
    encoding: 'utf8',
    env: { ...process.env, MILLRACE_NODE: node },
  })
}

/** Runs a script through launch.cjs in a Node that cannot replace itself, as 18 and 20 cannot. */
function becomeInOldNode(script: string) {
  const program = `delete process.execve; require(${JSON.stringify(launch)}).become(
    process.execPath, ['-e', ${JSON.stringify(script)}], process.env)`
  return spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
}

function exitOf(child: ReturnType<typeof becomeInOldNode>) {
  return new Promise<[code: number | null, signal: string | null]>((resolve) => {
    child.once('close', (code, signal) => resolve([code, signal]))
  })
}

test('millrace says in one sentence when the Node it got is too old', () => {
  const node = fakeNode('v20.11.0')

  const { status, stderr } = runMillrace(node)

  expect(status).toBe(1)
  expect(stderr).toBe(
    `Millrace needs Node 22.18 or newer and got v20.11.0 (${node}): install Node 24, or set MILLRACE_NODE to the path of one.\n`,
  )
})

test('millrace names a MILLRACE_NODE that cannot be run', () => {
  const node = join(folder, 'nothing')

  const { status, stderr } = runMillrace(node)

  expect(status).toBe(1)
  expect(stderr).toContain(`MILLRACE_NODE is ${node}, which does not run`)
})

test('millrace runs with the Node that MILLRACE_NODE names', () => {
  const { status, stdout } = runMillrace(process.execPath)

  expect(status).toBe(0)
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('a launcher that waits for its child ends with the code of the child', async () => {
  expect(await exitOf(becomeInOldNode('process.exit(7)'))).toEqual([7, null])
})

test('a launcher that waits for its child hands signals on and ends by the one that ended the child', async () => {
  const child = becomeInOldNode(
    `process.on('SIGHUP', () => { console.log('told'); process.kill(process.pid, 'SIGTERM') })
     setInterval(() => {}, 1000); console.log('ready')`,
  )
  let written = ''
  const exit = exitOf(child)
  child.stdout.on('data', (chunk: Buffer) => {
    written += chunk.toString()
    if (written === 'ready\n') child.kill('SIGHUP')
  })

  expect(await exit).toEqual([null, 'SIGTERM'])
  expect(written).toBe('ready\ntold\n')
})

/** Takes the lock of the folder in a process of its own, says so, and lets it go after its input ends. */
function holdLock() {
  const program = `import { lock } from ${JSON.stringify(join(root, 'tools/setup/lock.mjs'))}
    const unlock = await lock(${JSON.stringify(join(folder, 'lock'))})
    console.log('held')
    process.stdin.resume().on('end', unlock)`
  return spawn(process.execPath, ['--input-type=module', '-e', program])
}

function nextOutput(stream: NodeJS.ReadableStream) {
  return new Promise<string>((resolve) => {
    stream.once('data', (chunk: Buffer) => resolve(chunk.toString()))
  })
}

test('a second set-up waits until the first has ended', async () => {
  const first = holdLock()
  expect(await nextOutput(first.stdout)).toBe('held\n')
  const second = holdLock()

  expect(await nextOutput(second.stderr)).toBe(
    `Another set-up (process ${first.pid}) is at work; waiting for it ...\n`,
  )
  first.stdin.end()

  expect(await nextOutput(second.stdout)).toBe('held\n')
  second.stdin.end()
  await new Promise((resolve) => second.once('close', resolve))
  expect(existsSync(join(folder, 'lock'))).toBe(false)
})

test('the lock of a set-up that was killed is taken over', async () => {
  const ended = spawnSync(process.execPath, ['-e', ''])
  writeFileSync(join(folder, 'lock'), String(ended.pid))

  const next = holdLock()

  expect(await nextOutput(next.stdout)).toBe('held\n')
  next.stdin.end()
})
