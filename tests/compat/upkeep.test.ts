import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { missingPython, pythonOf } from '../../tools/setup/python-environments.ts'
import { root } from '../../tools/setup/step.mjs'
import { runChecks } from './python-checks.ts'
import { startServer } from './server.ts'

const CLIENT = 'mlflow-3.17.2'
const MILLRACE = join(root, 'packages', 'cli', 'src', 'main.ts')
const SCENARIO = join(import.meta.dirname, 'scripts', 'gc_scenario.py')

const ready = existsSync(pythonOf(CLIENT))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-upkeep-'))
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

/** Runs a program to its end; what it wrote, and how it ended. */
function run(program: string, args: readonly string[], env: Record<string, string> = {}) {
  return new Promise<{ output: string; code: number | null }>((resolve) => {
    const child = spawn(program, args, { cwd: folder, env: { ...process.env, ...env } })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    }
    child.on('close', (code) => resolve({ output, code }))
  })
}

async function millrace(...args: string[]): Promise<string> {
  const { output, code } = await run(process.execPath, [MILLRACE, ...args])
  expect(code, output).toBe(0)
  return output
}

describe.skipIf(!ready && !process.env['CI'])(`upkeep and client ${CLIENT}`, () => {
  beforeEach(() => {
    if (!ready) throw new Error(missingPython(CLIENT))
  })

  test('a server that was restored from a backup is the same to a stock client', async () => {
    const storage = (name: string) => [
      ...['--backend-store-uri', `sqlite:///${join(folder, `${name}.db`)}`],
      ...['--artifacts-destination', join(folder, `${name}-artifacts`)],
    ]
    const checks = (name: string, mode: string) =>
      runChecks(CLIENT, 'restored', {
        server: { args: storage(name) },
        clientEnv: { RESTORED_FACTS: join(folder, 'facts.json'), RESTORED_MODE: mode },
      })
    const failed = (all: Awaited<ReturnType<typeof checks>>) => all.filter(({ ok }) => !ok)

    expect(failed(await checks('first', 'write'))).toEqual([])
    await millrace('backup', join(folder, 'backups'), ...storage('first'))
    expect(await millrace('backup', join(folder, 'backups'), '--verify')).toContain('is whole')
    const restored = await millrace('restore', join(folder, 'backups'), ...storage('second'))
    expect(restored).toContain('all checksums agree')
    expect(failed(await checks('second', 'read'))).toEqual([])
  }, 360_000)

  test('millrace gc and mlflow gc refuse the same in the same words, and leave the same', async () => {
    const ours = [
      ...['--backend-store-uri', `sqlite:///${join(folder, 'ours.db')}`],
      ...['--artifacts-destination', join(folder, 'ours-artifacts')],
    ]
    await using server = await startServer('millrace', { args: ours })
    const told = async (uri: string, command: readonly string[]) => {
      const args = [SCENARIO, uri, JSON.stringify(command)]
      const { output } = await run(pythonOf(CLIENT), args, {
        HOME: folder,
        MLFLOW_DISABLE_TELEMETRY: 'true',
        DO_NOT_TRACK: 'true',
      })
      const [, facts] = /^TOLD (.*)$/m.exec(output) ?? []
      expect(facts, output).toBeTypeOf('string')
      return JSON.parse(facts ?? '') as { refused: string[][]; all: { runs: string[][] } }
    }

    const [stock, millraces] = await Promise.all([
      told(`sqlite:///${join(folder, 'stock.db')}`, []),
      told(server.url, [process.execPath, MILLRACE, 'gc', ...ours]),
    ])

    expect(millraces).toEqual(stock)
    expect(stock.refused[0]).toEqual([
      1,
      'Run kept/active is not in `deleted` lifecycle stage. Only runs in `deleted` lifecycle stage can be deleted.',
    ])
    expect(stock.all.runs).toEqual([['kept', 'active', 'active']])
  }, 360_000)
})
