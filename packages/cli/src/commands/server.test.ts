import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const MILLRACE = fileURLToPath(new URL('../../bin/millrace.cjs', import.meta.url))

let directory: string
let started: ChildProcess | undefined
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-cli-'))
})
afterEach(async () => {
  if (started?.exitCode === null && started.signalCode === null) {
    started.kill('SIGKILL')
    await once(started, 'exit')
  }
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
})

interface Command {
  process: ChildProcess
  output(): string
  /** Resolves with what was printed once it matches. */
  printed(pattern: RegExp): Promise<RegExpExecArray>
  exitCode(): Promise<number | null>
}

function millrace(args: string[], env: Record<string, string> = {}): Command {
  const child = spawn(process.execPath, [MILLRACE, ...args], {
    cwd: directory,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started = child
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = once(child, 'close') as Promise<[number | null]>
  return {
    process: child,
    output: () => output,
    printed: (pattern) =>
      expect
        .poll(() => pattern.exec(output), { timeout: 180_000, message: String(pattern) })
        .not.toBeNull()
        .then(() => pattern.exec(output) as RegExpExecArray),
    exitCode: async () => (await ended)[0],
  }
}

describe('millrace server', () => {
  test('serves on the port it prints, keeps its data where it was started, and ends on SIGTERM', async () => {
    const server = millrace(['server', '-p', '0', '-h', '127.0.0.1'])
    const [, url = ''] = await server.printed(/Millrace is at (\S+)/)

    const health = await (await fetch(`${url}/health`)).text()
    const found = await fetch(`${url}/api/2.0/mlflow/experiments/get?experiment_id=0`)
    server.process.kill('SIGTERM')

    expect(health).toBe('OK')
    expect(await found.json()).toMatchObject({ experiment: { name: 'Default' } })
    expect(await server.exitCode()).toBe(0)
    expect(server.output()).toContain(join(directory, 'millrace.db'))
  })

  test('takes flags and variables that scripts for MLflow use, with a line for what is not used', async () => {
    const server = millrace(
      [
        'ui',
        '-p',
        '0',
        '-w',
        '4',
        '--gunicorn-opts',
        '--timeout 60',
        '--expose-prometheus',
        'metrics',
      ],
      { MLFLOW_STATIC_PREFIX: '/tracking', MLFLOW_BACKEND_STORE_URI: 'sqlite:///own.db' },
    )
    const [, url = ''] = await server.printed(/Millrace is at (\S+)/)

    const metrics = await (await fetch(new URL('/metrics', url))).text()
    const version = await (await fetch(`${url}/version`)).text()

    expect(url).toMatch(/\/tracking$/)
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
    expect(metrics).toContain('millrace_pending_writes')
    expect(server.output()).toContain('--workers is not used: one process serves all on SQLite.')
    expect(server.output()).toContain('--gunicorn-opts is not used')
    expect(server.output()).toContain(join(directory, 'own.db'))
  })

  test.each([
    [['server', '--prot', '5000'], "unknown option '--prot'", '(Did you mean --port?)'],
    [['sever'], "unknown command 'sever'", '(Did you mean server?)'],
    [['server', '-h', '0.0.0.0'], '--allow-unauthenticated', 'there is no login yet'],
    [['server', '--artifacts-only'], '--artifacts-only is not supported', ''],
    [['server', '--port', 'x', '--x-frame-options', 'y'], "--port 'x'", "--x-frame-options 'y'"],
  ])('%j ends with a sentence that helps', async (args, first, second) => {
    const command = millrace(args)

    expect(await command.exitCode()).toBe(1)
    expect(command.output()).toContain(first)
    expect(command.output()).toContain(second)
    expect(command.output()).not.toContain('    at ')
  })

  test('says which port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0

    const command = millrace(['server', '-p', String(port)])
    const exitCode = await command.exitCode()
    other.close()

    expect(exitCode).toBe(1)
    expect(command.output()).toContain(`Port ${port} of 127.0.0.1 is taken`)
  })

  test.each([
    ['experiments, runs, alembic_version', 'holds the tables of MLflow'],
    ['invoices', 'holds tables of another program (invoices)'],
  ])('leaves a database with the tables %s alone', async (tables, message) => {
    const { DatabaseSync } = await import('node:sqlite')
    const path = join(directory, 'theirs.db')
    const theirs = new DatabaseSync(path)
    for (const table of tables.split(', ')) theirs.exec(`create table ${table} (id integer)`)
    theirs.close()

    const before = await readFile(path)

    const command = millrace(['server', '-p', '0', '--backend-store-uri', 'sqlite:///theirs.db'])

    expect(await command.exitCode()).toBe(1)
    expect(command.output()).toContain(message)
    expect(await readFile(path)).toEqual(before)
  })

  test('says that a file is no database', async () => {
    await writeFile(join(directory, 'notes.db'), 'these are not the tables you are looking for')

    const command = millrace(['server', '-p', '0', '--backend-store-uri', 'sqlite:///notes.db'])

    expect(await command.exitCode()).toBe(1)
    expect(command.output()).toContain('notes.db cannot be used: it is not a SQLite database.')
  })
})
