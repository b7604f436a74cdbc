import { chown, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { createClient } from '@millrace/client/client'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { buildImage } from '../../packages/cli/src/commands/images-build.ts'
import { parseEnvFile } from '../../packages/cli/src/commands/images-env-file.ts'
import {
  type RunningContainer,
  startContainer,
  whyNoContainers,
} from '../../packages/cli/src/commands/images-start.ts'
import {
  createDatabase,
  type DatabaseServer,
  startDatabaseServer,
} from '../../packages/server/test/database-servers.ts'
import { logWithStockClient } from '../../packages/server/test/stock-clients.ts'
import { freePort } from '../../tools/free-port.ts'

const MEBIBYTE = 2 ** 20
const KEYS = { accessKeyId: 'millrace', secretAccessKey: 'millrace' }
const why = whyNoContainers()

let folder: string
let database: DatabaseServer | undefined
let plane: Plane
let container: RunningContainer
let url: string

describe.skipIf(why !== undefined)(`the tracker image with an env file ${why ?? ''}`, () => {
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-tracker-')))
    database = await startDatabaseServer('postgresql')
    plane = await startPlane({
      directory: join(folder, 'plane'),
      port: 0,
      environment: {},
      hasRunner: false,
    })
    await bucket().send(new CreateBucketCommand({ Bucket: 'millrace' }))
    const architectures = [arch() === 'arm64' ? 'arm64' : 'amd64'] as const
    const layout = join(folder, 'tracker')
    await buildImage({
      name: 'tracker',
      output: layout,
      tag: 'test',
      architectures: [...architectures],
    })
    container = await start(layout)
    await vi.waitFor(async () => expect((await fetch(`${url}/health`)).status).toBe(200), 120_000)
  }, 600_000)
  afterAll(async () => {
    await container?.[Symbol.asyncDispose]()
    await plane?.[Symbol.asyncDispose]()
    await database?.stop()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  test('rests below 150 MiB', async () => {
    expect(await memoryOf('VmRSS')).toBeLessThan(150)
  })

  test('serves twenty stock clients from PostgreSQL and S3 within 512 MiB', async () => {
    const client = createClient({ baseUrl: url })
    const { experiment_id } = await client.experiments.create({ name: 'twenty' })
    await client.registeredModels.create({ name: 'model' })
    const settings = { experiment_id, model: 'model', seed: 1, timeoutSeconds: 60 }
    const ledger = await logWithStockClient({ url, ...settings, threads: 20, seconds: 5 })
    const { Contents = [] } = await bucket().send(new ListObjectsV2Command({ Bucket: 'millrace' }))
    const { runs = [] } = await client.runs.search({ experiment_ids: [experiment_id] })

    expect(ledger.raised).toEqual({})
    expect(runs.length).toBeGreaterThan(0)
    expect(Contents.length).toBeGreaterThan(0)
    expect(await memoryOf('VmHWM')).toBeLessThan(512)
  }, 300_000)
})

function bucket(): S3Client {
  return new S3Client({
    endpoint: plane.url,
    region: 'us-east-1',
    credentials: KEYS,
    forcePathStyle: true,
  })
}

/** What compose.yaml says, with addresses of this machine. */
async function start(layout: string): Promise<RunningContainer> {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  const file = join(folder, 'project.env')
  await writeFile(
    file,
    [
      `MILLRACE_BACKEND_STORE_URI=${await createDatabase(database?.adminUri ?? '')}`,
      'MILLRACE_DATABASE_SSLMODE=disable',
      'MILLRACE_ARTIFACTS_DESTINATION=s3://millrace/artifacts',
      `MILLRACE_S3_ENDPOINT_URL=${plane.url}`,
      'MILLRACE_DIRECT_TRANSFERS=false',
      'MILLRACE_ALLOW_UNAUTHENTICATED=true',
      `AWS_ACCESS_KEY_ID=${KEYS.accessKeyId}`,
      `AWS_SECRET_ACCESS_KEY=${KEYS.secretAccessKey}`,
      'AWS_REGION=us-east-1',
      `MILLRACE_PORT=${port}`,
    ].join('\n'),
  )
  const data = join(folder, 'data')
  await mkdir(data)
  await chown(data, 65532, 65532)
  return startContainer({
    layout,
    args: [],
    environment: parseEnvFile(await readFile(file, 'utf8'), {}),
    volumes: [{ from: data, to: '/data' }],
  })
}

/** Of the server's process, in MiB: a child of the one that made its namespaces. */
async function memoryOf(field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const { pid } = container.process
  const program = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim()
  const status = await readFile(`/proc/${program}/status`, 'utf8')
  const kilobytes = Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1])
  return (kilobytes * 1024) / MEBIBYTE
}
