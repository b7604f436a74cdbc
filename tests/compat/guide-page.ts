import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../tools/free-port.ts'
import { pythonOf } from '../../tools/setup/python-environments.ts'
import { root } from '../../tools/setup/step.mjs'
import { signalGroup } from './server.ts'

/** A fenced block of a guide. */
export interface GuideBlock {
  /**
   * `ci` is run; `ci-start <url>` is started and goes on beside the others once the URL answers;
   * `file <name>` is written down; `prints` has lines that the block before it prints, where `...`
   * stands for anything; `other` is for people.
   */
  kind: 'ci' | 'ci-start' | 'file' | 'prints' | 'other'
  argument: string
  text: string
}

const KINDS = ['ci', 'ci-start', 'file', 'prints'] as const
const PAGE_LIMIT_MS = 850_000
const START_SECONDS = 120
const END_MS = 5_000

/** The blocks of a Markdown page in their order. */
export function readBlocks(page: string): GuideBlock[] {
  return [...page.matchAll(/^```\w* ?(.*)\n([^]*?)^```$/gm)].map(([, info = '', text = '']) => {
    const [name = '', argument = ''] = info.split(' ')
    return { kind: KINDS.find((kind) => kind === name) ?? 'other', argument, text }
  })
}

/**
 * Runs what a guide says is run in CI, in one shell in a folder of its own, against ports of its own,
 * and everything that it starts is ended. What was not printed that should have been is an error.
 */
export async function runGuide(name: string): Promise<void> {
  const [port, planePort] = [await freePort(), await freePort()]
  const page = await readFile(join(root, 'docs', 'guides', `${name}.md`), 'utf8')
  const blocks = readBlocks(
    page.replaceAll(/\b5000\b/g, `${port}`).replaceAll(/\b5055\b/g, `${planePort}`),
  )
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-guide-')))
  try {
    for (const { kind, argument, text } of blocks) {
      if (kind !== 'file') continue
      const file = join(folder, argument)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text, { mode: text.startsWith('#!') ? 0o755 : 0o644 })
    }
    const environment = await guideEnvironment(folder, port)
    const output = await runShell(scriptOf(blocks), folder, environment)
    checkPrinted(blocks, output)
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

function scriptOf(blocks: readonly GuideBlock[]): string {
  const lines = blocks.flatMap(({ kind, argument, text }, index) => {
    if (kind === 'ci') return [`echo '@@${index}'`, text]
    if (kind !== 'ci-start') return []
    return [
      `( ${text.trim()} ) > started-${index}.log 2>&1 & started=$!`,
      `for _ in $(seq ${START_SECONDS * 5}); do`,
      `  curl -fsS -o /dev/null '${argument}' 2> /dev/null && break`,
      `  kill -0 $started || { cat started-${index}.log; exit 1; }; sleep 0.2`,
      'done',
    ]
  })
  return [...lines, "echo '@@end'"].join('\n')
}

/** `millrace`, the stock client as `python`, and nobody's settings. */
async function guideEnvironment(folder: string, port: number): Promise<Record<string, string>> {
  const python = pythonOf('mlflow-3.17.2')
  const images = join(folder, '.images.yaml')
  // Making an environment like the image's takes a minute; this one has the same packages.
  await writeFile(
    images,
    `images:\n  - { image: '*/mlflow-pyfunc:*', interpreter: ${JSON.stringify(python)} }\n`,
  )
  return {
    PATH: [
      join(root, 'node_modules', '.bin'),
      dirname(python),
      dirname(process.execPath),
      process.env['PATH'],
    ].join(':'),
    HOME: folder,
    TMPDIR: folder,
    MILLRACE: root,
    SDK_PYTHON: pythonOf('sagemaker-2.257'),
    MILLRACE_PORT: `${port}`,
    MILLRACE_SAGEMAKER_IMAGES: images,
    MILLRACE_CACHE: join(folder, '.cache'),
    MLFLOW_DISABLE_TELEMETRY: 'true',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONWARNINGS: 'ignore',
    NO_PROXY: '127.0.0.1',
  }
}

async function runShell(
  script: string,
  folder: string,
  env: Record<string, string>,
): Promise<string> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const limit = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), PAGE_LIMIT_MS)
  const [code] = await once(child, 'exit')
  clearTimeout(limit)
  signalGroup(child.pid, 'SIGTERM')
  await Promise.race([once(child, 'close'), wait(END_MS, undefined, { ref: false })])
  signalGroup(child.pid, 'SIGKILL')
  if (code !== 0)
    throw new Error(`The guide's commands ended with ${code}:\n${output.slice(-6_000)}`)
  return output
}

function checkPrinted(blocks: readonly GuideBlock[], output: string): void {
  const printed = new Map(
    [...output.matchAll(/^@@(\d+)\n([^]*?)(?=^@@(?:\d+|end)$)/gm)].map(([, at, text = '']) => [
      Number(at),
      text,
    ]),
  )
  for (const [index, { kind, text }] of blocks.entries()) {
    if (kind !== 'prints') continue
    const said = printed.get(index - 1) ?? ''
    for (const line of text.trim().split('\n')) {
      const parts = line.split('...').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      if (new RegExp(`^${parts.join('.*')}$`, 'm').test(said)) continue
      throw new Error(`'${line}' was not printed, but:\n${said.slice(-4_000)}`)
    }
  }
}
