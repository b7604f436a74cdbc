import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs'
import { arch, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient } from '@millrace/client/client'
import { writeLayout } from '@millrace/sagemaker/images/oci-layout'
import { pushImage } from '@millrace/sagemaker/images/push-image'
import { createRegistryClient } from '@millrace/sagemaker/images/registry-client'
import { writeImage } from '@millrace/sagemaker/images/write-image'
import { buildImage } from '../packages/cli/src/commands/images-build.ts'
import { type RunningContainer, startContainer } from '../packages/cli/src/commands/images-start.ts'
import { logWithStockClient } from '../packages/server/test/stock-clients.ts'
import { startServer } from '../tests/compat/server.ts'
import { root } from '../tools/setup/step.mjs'
import { newFolder, removeFolder } from './folders.ts'
import { median } from './statistics.ts'

/**
 * What images weigh, how fast a tracker starts and how much memory it takes, how long a layer of
 * 1 GB is on its way to a registry on this machine, and how long a template takes. Needs Linux as root;
 * docker-registry and skopeo for `push`.
 *
 *     node bench/images.ts [--only sizes,start,memory,push,synth] [--rounds 3]
 */

const MEBIBYTE = 2 ** 20
const LAYER_MEBIBYTES = 1024
const LIMIT_MEBIBYTES = 512
const CLIENTS = 20
const CLIENT_SECONDS = 20
const REST_MS = 5_000
const CGROUP = '/sys/fs/cgroup/memory/millrace-bench'
const architecture = arch() === 'arm64' ? 'arm64' : 'amd64'
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'sizes,start,memory,push,synth' },
    rounds: { type: 'string', default: '3' },
  },
})
const rounds = Number(values.rounds)
const parts: Record<string, (folder: string) => Promise<void>> = {
  sizes,
  start,
  memory,
  push,
  synth,
}

for (const name of values.only.split(',')) {
  const folder = newFolder()
  try {
    await parts[name]?.(folder)
  } finally {
    removeFolder(folder)
  }
}

async function build(name: 'tracker' | 'serving' | 'training', output: string) {
  return buildImage({ name, output, tag: 'bench', architectures: [architecture] })
}

async function sizes(folder: string): Promise<void> {
  for (const name of ['tracker', 'serving', 'training'] as const) {
    const { sizes: built } = await build(name, join(folder, name))
    const bytes = built.reduce((sum, size) => sum + size.bytes, 0)
    console.log(`size      ${name.padEnd(9)} ${(bytes / 1e6).toFixed(1)} MB compressed`)
  }
}

/** From the start of the process to the first 200 of /health, the image being unpacked. */
async function start(folder: string): Promise<void> {
  const layout = join(folder, 'tracker')
  await build('tracker', layout)
  const times: Record<'millrace' | 'mlflow', number[]> = { millrace: [], mlflow: [] }
  // The first unpacks the image.
  for (let round = 0; round <= rounds; round++) {
    const from = performance.now()
    const tracker = await startTracker(folder, layout)
    if (round > 0) times.millrace.push(performance.now() - from)
    await tracker.container[Symbol.asyncDispose]()
    const stockFrom = performance.now()
    const stock = await startServer('mlflow-3.17.2')
    if (round > 0) times.mlflow.push(performance.now() - stockFrom)
    await stock[Symbol.asyncDispose]()
  }
  console.log(`start     tracker image  ${median(times.millrace).toFixed(0)} ms`)
  console.log(`start     mlflow server  ${median(times.mlflow).toFixed(0)} ms (no container)`)
}

/** At rest, and at most while stock clients log; the kernel enforces the limit. */
async function memory(folder: string): Promise<void> {
  const layout = join(folder, 'tracker')
  await build('tracker', layout)
  const { container, url } = await startTracker(folder, layout)
  try {
    await wait(REST_MS)
    const program = programOf(container)
    console.log(`memory    at rest        ${statusOf(program, 'VmRSS').toFixed(0)} MiB`)
    const isLimited = limit(program)
    const client = createClient({ baseUrl: url })
    const { experiment_id } = await client.experiments.create({ name: 'bench' })
    await client.registeredModels.create({ name: 'model' })
    const { raised, runs } = await logWithStockClient({
      ...{ url, experiment_id, model: 'model', seed: 1, timeoutSeconds: 60 },
      ...{ threads: CLIENTS, seconds: CLIENT_SECONDS },
    })
    const peak = `${statusOf(program, 'VmHWM').toFixed(0)} MiB resident`
    const held = isLimited ? `, ${cgroup('memory.max_usage_in_bytes')} MiB with files` : ''
    const failed = Object.values(raised).reduce((sum, count) => sum + count, 0)
    console.log(
      `memory    at most        ${peak}${held}, ${isLimited ? `limit ${LIMIT_MEBIBYTES}` : 'no limit'}, ` +
        `${CLIENTS} clients, ${Object.keys(runs).length} runs, ${failed} failed calls`,
    )
  } finally {
    await container[Symbol.asyncDispose]()
    if (existsSync(CGROUP)) rmdirSync(CGROUP)
  }
}

/** Puts a process under the limit; false where the kernel has no such group to make. */
function limit(pid: string): boolean {
  try {
    mkdirSync(CGROUP)
    writeFileSync(join(CGROUP, 'memory.limit_in_bytes'), `${LIMIT_MEBIBYTES * MEBIBYTE}`)
    writeFileSync(join(CGROUP, 'cgroup.procs'), pid)
    return true
  } catch {
    return false
  }
}

function cgroup(file: string): string {
  return (Number(readFileSync(join(CGROUP, file), 'utf8')) / MEBIBYTE).toFixed(0)
}

function programOf({ process: { pid } }: RunningContainer): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
}

function statusOf(pid: string, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024
}

async function startTracker(folder: string, layout: string) {
  const data = mkdtempSync(join(folder, 'data-'))
  chownSync(data, 65532, 65532)
  const port = 20_000 + Math.floor(Math.random() * 20_000)
  const container = await startContainer({
    layout,
    args: [],
    environment: { MILLRACE_ALLOW_UNAUTHENTICATED: 'true', MILLRACE_PORT: `${port}` },
    volumes: [{ from: data, to: '/data' }],
    root: join(folder, 'root'),
    output: 'pipe',
  })
  container.process.stderr?.pipe(process.stderr)
  container.process.stdout?.resume()
  const url = `http://127.0.0.1:${port}`
  await answered(`${url}/health`, container.process)
  return { container, url }
}

async function answered(url: string, server: ChildProcess): Promise<void> {
  while (server.exitCode === null) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return
    await wait(10)
  }
  throw new Error(`${url} never answered.`)
}

/** A layer that does not compress, by our push and by skopeo's, each to an empty registry. */
async function push(folder: string): Promise<void> {
  if (totalmem() < 4 * LAYER_MEBIBYTES * MEBIBYTE) throw new Error('That takes 4 GiB of memory.')
  const layout = join(folder, 'layout')
  const bytes = randomFillSync(Buffer.alloc(LAYER_MEBIBYTES * MEBIBYTE))
  const entries = [{ kind: 'file' as const, path: 'layer', mode: 0o644, bytes }]
  const image = { architecture, layers: [{ name: 'layer', entries }], config: {} } as const
  const written = await writeImage(
    layout,
    { ...image, layers: [...image.layers] },
    join(folder, 'cache'),
  )
  await writeLayout(layout, [written], '1')
  const times: Record<'millrace' | 'skopeo', number[]> = { millrace: [], skopeo: [] }
  for (let round = 0; round < rounds; round++) {
    for (const program of ['millrace', 'skopeo'] as const) {
      const registry = await startRegistry(join(folder, `${program}-${round}`))
      const from = performance.now()
      if (program === 'millrace') {
        const call = createRegistryClient({ url: `http://${registry.host}` })
        await pushImage(call, { layout, repository: 'bench', tags: ['1'] })
      } else {
        const to = `docker://${registry.host}/bench:1`
        execFileSync('skopeo', ['copy', '-q', '--dest-tls-verify=false', `oci:${layout}:1`, to])
      }
      times[program].push(performance.now() - from)
      await registry.stop()
    }
  }
  for (const [program, all] of Object.entries(times)) {
    console.log(`push      ${program.padEnd(9)} 1 GiB in ${(median(all) / 1000).toFixed(1)} s`)
  }
}

async function startRegistry(folder: string) {
  mkdirSync(folder)
  const host = `127.0.0.1:${20_000 + Math.floor(Math.random() * 20_000)}`
  const storage = `storage: {filesystem: {rootdirectory: ${JSON.stringify(folder)}}}`
  writeFileSync(join(folder, 'config.yml'), `version: 0.1\n${storage}\nhttp: {addr: '${host}'}\n`)
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' })
  await answered(`http://${host}/v2/`, child)
  return {
    host,
    async stop() {
      child.kill('SIGTERM')
      await once(child, 'exit')
      removeFolder(folder)
    },
  }
}

async function synth(folder: string): Promise<void> {
  for (const profile of ['single', 'standard', 'regulated']) {
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      const from = performance.now()
      const args = [
        join(root, 'infra/src/main.ts'),
        '--profile',
        profile,
        '-o',
        join(folder, profile),
      ]
      execFileSync(process.execPath, args, { stdio: 'ignore' })
      times.push(performance.now() - from)
    }
    console.log(`synth     ${profile.padEnd(9)} ${(median(times) / 1000).toFixed(1)} s`)
  }
}
