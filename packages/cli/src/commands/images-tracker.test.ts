import { createReadStream } from 'node:fs'
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import {
  blobFile,
  type ImageManifest,
  readBlob,
  readImage,
  readLayout,
} from '@millrace/sagemaker/images/oci-layout'
import { readTar } from '@millrace/sagemaker/images/read-tar'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { freePort } from '../../../../tools/free-port.ts'
import { buildImage } from './images-build.ts'
import { parseEnvFile } from './images-env-file.ts'
import { type RunningContainer, startContainer, whyNoContainers } from './images-start.ts'

const architecture = arch() === 'arm64' ? 'arm64' : 'amd64'
const why = whyNoContainers()

/** Of a file's head, where `e_machine` stands and how much is read. */
const ELF_MACHINE = 18
const ELF_HEAD = 20

let folder: string
let layout: string
let url: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-tracker-'))
  layout = join(folder, 'tracker')
  await buildImage({
    name: 'tracker',
    output: layout,
    tag: 'test',
    architectures: ['amd64', 'arm64'],
  })
})
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

/** Starts the image with an env file and a data directory that belongs to its user. */
async function startTracker(lines: string[]): Promise<RunningContainer> {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  const envFile = join(folder, 'project.env')
  await writeFile(envFile, [...lines, `MILLRACE_PORT=${port}`].join('\n'))
  const data = join(folder, 'data')
  await mkdir(data, { recursive: true })
  await chown(data, 65532, 65532)
  return startContainer({
    layout,
    args: [],
    environment: parseEnvFile(await readFile(envFile, 'utf8'), {}),
    volumes: [{ from: data, to: '/data' }],
    root: join(folder, 'root'),
    output: 'pipe',
  })
}

/** The process of the server, a child of the one that made its namespaces. */
async function programOf({ process: { pid } }: RunningContainer): Promise<string> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim()
}

const post = (path: string, body: object) =>
  fetch(`${url}/api/2.0/mlflow/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

describe('the tracker image', () => {
  test('is at most 120 MB compressed and comes with a bill of what is in it', async () => {
    const { manifest, config } = await readImage(layout, architecture)
    const bytes = manifest.layers.reduce((sum, { size }) => sum + size, 0)
    const [, attached] = await readLayout(layout)
    const { layers } = await readBlob<ImageManifest>(layout, attached?.digest ?? '')
    const bill = await readBlob<{ components: { purl: string }[] }>(layout, layers[0]?.digest ?? '')
    const urls = bill.components.map(({ purl }) => purl.replace(/@.*/, ''))

    expect(bytes).toBeLessThan(120_000_000)
    expect(config.config.User).toBe('65532:65532')
    expect(urls).toEqual(expect.arrayContaining(['pkg:npm/fastify', 'pkg:deb/debian/libc6']))
    expect(urls).not.toContain('pkg:npm/vitest')
  })

  test.each([
    ['amd64', 62],
    ['arm64', 183],
  ] as const)('for %s holds programs of that processor alone', async (processor, machine) => {
    const programs = await machinesOf(processor)

    expect(new Set(programs.values())).toEqual(new Set([machine]))
    expect(
      [...programs.keys()].filter((path) => /bin\/node$|libstdc|libc\.so/.test(path)),
    ).toHaveLength(3)
  })
})

/** The processor that each ELF file of the image is for, by the number that ELF has for it. */
async function machinesOf(processor: 'amd64' | 'arm64'): Promise<Map<string, number>> {
  const { manifest } = await readImage(layout, processor)
  const found = new Map<string, number>()
  for (const { digest } of manifest.layers) {
    await readTar(createReadStream(blobFile(layout, digest)), async (entry) => {
      let head = Buffer.alloc(0)
      for await (const chunk of entry) {
        if (head.length < ELF_HEAD) head = Buffer.concat([head, chunk])
      }
      if (head.subarray(0, 4).toString('latin1') !== '\x7fELF') return
      found.set(entry.path, head.readUInt16LE(ELF_MACHINE))
    })
  }
  return found
}

describe.skipIf(why !== undefined)(`a container of the tracker image ${why ?? ''}`, () => {
  test('serves what an env file says as nobody special, with a root that nobody can change', {
    timeout: 360_000,
  }, async () => {
    await using container = await startTracker([
      '# no login',
      'MILLRACE_ALLOW_UNAUTHENTICATED=true',
    ])
    await vi.waitFor(async () => expect((await fetch(`${url}/health`)).status).toBe(200), 60_000)

    const created = await post('runs/create', { experiment_id: '0', start_time: 1 })
    const { run } = (await created.json()) as { run: { info: { run_id: string } } }
    await post('runs/log-metric', {
      run_id: run.info.run_id,
      key: 'loss',
      value: 0.5,
      timestamp: 1,
      step: 1,
    })
    const page = await (await fetch(`${url}/`)).text()
    const pid = await programOf(container)
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const change = writeFile(`/proc/${pid}/root/etc/motd`, 'changed')

    expect(status).toMatch(/^Uid:\s65532\s65532\s65532\s65532$/m)
    expect(status).toMatch(/^CapEff:\s0+$/m)
    expect(status).toMatch(/^NoNewPrivs:\s1$/m)
    await expect(change).rejects.toMatchObject({ code: 'EROFS' })
    expect(page).toContain('<div id="app">')

    container.stop('SIGTERM')
    expect(await container.ended).toBe(0)

    await using restarted = await startTracker(['MILLRACE_ALLOW_UNAUTHENTICATED=true'])
    await vi.waitFor(async () => expect((await fetch(`${url}/health`)).status).toBe(200), 60_000)
    const found = await fetch(`${url}/api/2.0/mlflow/runs/get?run_id=${run.info.run_id}`)
    expect(restarted.process.exitCode).toBeNull()
    expect(await found.json()).toMatchObject({
      run: { data: { metrics: [{ key: 'loss', value: 0.5 }] } },
    })
  })

  test('says why it does not start without a word about who may come in', {
    timeout: 180_000,
  }, async () => {
    await using container = await startTracker([])
    const { stdout, stderr } = container.process
    const [, said] = await Promise.all([
      stdout ? text(stdout) : '',
      stderr ? text(stderr) : '',
      container.ended,
    ])

    expect(await container.ended).toBe(1)
    expect(said).toContain('--allow-unauthenticated')
  })
})
