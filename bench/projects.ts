import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { startServer } from '../tests/compat/server.ts'
import { pythonOf } from '../tools/setup/python-environments.ts'
import { root } from '../tools/setup/step.mjs'
import { median } from './statistics.ts'

/**
 * From typing `run` to the first line of the project's own code, and to the end of it all, with an
 * environment that is there, from `millrace run` and from the stock `mlflow run`, in turns, against
 * the same server of ours. `local` takes the Python that is there; `virtualenv` one that the
 * untimed first run makes.
 *
 *     node bench/projects.ts [--rounds 7]
 */

const MILLRACE = join(root, 'packages', 'cli', 'bin', 'millrace.cjs')
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } })

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
try {
  writeFileSync(join(folder, 'MLproject'), projectText())
  writeFileSync(join(folder, 'python_env.yaml'), 'python: "3.11.7"\n')
  writeFileSync(join(folder, 'say.py'), 'print("first line", flush=True)\n')
  await using server = await startServer('millrace')
  const python = pythonOf('mlflow-3.17.2')
  const environment = {
    ...process.env,
    PATH: `${dirname(python)}:${process.env['PATH']}`,
    MLFLOW_TRACKING_URI: server.url,
    MLFLOW_DISABLE_TELEMETRY: 'true',
    MLFLOW_ENV_ROOT: join(folder, 'stock-envs'),
    MILLRACE_CACHE: join(folder, 'cache'),
  }
  console.log(`medians of ${values.rounds} rounds, in ms`)
  console.log('environment  program     first line   the end')
  for (const manager of ['local', 'virtualenv']) {
    const args = ['run', folder, '--env-manager', manager]
    const programs = {
      mlflow: [join(dirname(python), 'mlflow'), ...args],
      millrace: [process.execPath, MILLRACE, ...args],
    }
    const times: Record<string, { first: number; end: number }[]> = { mlflow: [], millrace: [] }
    for (let round = 0; round <= Number(values.rounds); round++) {
      for (const [name, argv] of Object.entries(programs)) {
        const measured = await timed(argv, environment)
        if (round > 0) times[name]?.push(measured)
      }
    }
    const [stock, ours] = [times['mlflow'] ?? [], times['millrace'] ?? []].map((all) => ({
      first: median(all.map(({ first }) => first)),
      end: median(all.map(({ end }) => end)),
    }))
    if (!stock || !ours) continue
    print(manager, 'mlflow', stock.first.toFixed(0), stock.end.toFixed(0))
    print('', 'millrace', ours.first.toFixed(0), ours.end.toFixed(0))
    print('', 'ratio', (ours.first / stock.first).toFixed(2), (ours.end / stock.end).toFixed(2))
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function projectText(): string {
  return 'python_env: python_env.yaml\nentry_points: {main: {command: "python say.py"}}\n'
}

function timed(
  [program = '', ...args]: string[],
  env: NodeJS.ProcessEnv,
): Promise<{ first: number; end: number }> {
  return new Promise((resolve, reject) => {
    const from = performance.now()
    const child = spawn(program, args, { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let first: number | undefined
    let written = ''
    child.stdout.on('data', (chunk: Buffer) => {
      written += chunk.toString()
      if (written.includes('first line')) first ??= performance.now() - from
    })
    child.stderr.on('data', (chunk: Buffer) => {
      written += chunk.toString()
    })
    child.once('close', (code) => {
      if (code === 0 && first !== undefined) resolve({ first, end: performance.now() - from })
      else reject(new Error(`${program} ended with ${code}:\n${written}`))
    })
  })
}

function print(...cells: [string, string, string, string]): void {
  const [manager, program, first, end] = cells
  console.log(
    `${manager.padEnd(12)} ${program.padEnd(10)} ${first.padStart(11)} ${end.padStart(9)}`,
  )
}
