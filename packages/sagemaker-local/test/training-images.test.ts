import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  BatchDeleteImageCommand,
  DescribeImagesCommand,
  DescribeRepositoriesCommand,
  ECRClient,
  GetAuthorizationTokenCommand,
} from '@aws-sdk/client-ecr'
import { create } from 'tar'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'
import { trainingClient } from './training-client.ts'

let running: TestPlane
let client: Awaited<ReturnType<typeof trainingClient>>

beforeAll(async () => {
  running = await startTestPlane()
  client = await trainingClient(running)
})
afterAll(() => running[Symbol.asyncDispose]())

/** Pushes an image as `docker push` does. */
async function push(name: string, layers: Buffer[], config: object): Promise<string> {
  const blob = async (bytes: Buffer, mediaType: string) => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    const { headers } = await fetch(`${running.url}/v2/${name}/blobs/uploads/`, { method: 'POST' })
    const place = new URL(headers.get('location') ?? '', running.url)
    place.searchParams.set('digest', digest)
    const answer = await fetch(place, { method: 'PUT', body: new Uint8Array(bytes) })
    expect(answer.status).toBe(201)
    return { mediaType, digest, size: bytes.length }
  }
  const type = 'application/vnd.oci.image'
  const manifest = {
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config: await blob(Buffer.from(JSON.stringify({ config })), `${type}.config.v1+json`),
    layers: await Promise.all(layers.map((bytes) => blob(bytes, `${type}.layer.v1.tar+gzip`))),
  }
  const answer = await fetch(`${running.url}/v2/${name}/manifests/1.0`, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType },
    body: JSON.stringify(manifest),
  })
  expect(answer.status).toBe(201)
  return answer.headers.get('docker-content-digest') ?? ''
}

/** A layer of files: their texts by path, or the path of a program to copy with its libraries. */
async function layer(files: Record<string, string>, programs: string[] = []): Promise<Buffer> {
  const folder = await mkdtemp(join(running.directory, 'layer-'))
  await chmod(folder, 0o755)
  const root = join(folder, 'root')
  const needed = programs.flatMap((program) => [
    program,
    ...execFileSync('ldd', [program], { encoding: 'utf8' })
      .matchAll(/(\/\S+)/g)
      .map(([path]) => path),
  ])
  for (const path of needed) {
    await mkdir(join(root, dirname(path)), { recursive: true })
    await copyFile(path, join(root, path))
  }
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true })
    await writeFile(join(root, path), text, { mode: 0o755 })
  }
  await create({ file: join(folder, 'layer.tar.gz'), gzip: true, cwd: root }, ['.'])
  return readFile(join(folder, 'layer.tar.gz'))
}

test('an image of the registry is run in its own file system, of which it changes nothing', async () => {
  const train = `#!/bin/sh
echo $PWD $GREETING
[ -e /old.txt ] || echo removed
[ -e /usr/bin/env ] || echo apart
echo "job's own" > /tmp/scratch && echo w > /opt/ml/model/w
(echo x > /usr/local/bin/train) 2>/dev/null || echo kept
`
  const image = await push(
    'team/trainer',
    [
      await layer({ 'old.txt': 'old', 'work/a': '' }, ['/bin/sh']),
      await layer({ '.wh.old.txt': '', 'usr/local/bin/train': train }),
    ],
    { Env: ['PATH=/usr/local/bin:/bin', 'GREETING=hello'], WorkingDir: '/work' },
  )
  await client.create('pushed', '123456789012.dkr.ecr.us-east-1.amazonaws.com/team/trainer:1.0')

  const job = await client.ended('pushed')

  expect(job.FailureReason).toBeUndefined()
  expect(await client.lines('pushed')).toEqual([['/work hello', 'removed', 'apart', 'kept']])
  expect(await client.archive('out/pushed/output/model.tar.gz')).toEqual({ w: 'w\n' })
  expect(image).toMatch(/^sha256:/)
})

test('a layer that writes through a link of a lower one is refused, and nothing is written', async () => {
  const target = join(running.directory, 'target')
  await mkdir(target)
  const folder = await mkdtemp(join(running.directory, 'evil-'))
  execFileSync('ln', ['-s', target, join(folder, 'door')])
  await create({ file: join(folder, 'link.tar.gz'), gzip: true, cwd: folder }, ['door'])
  await push(
    'team/evil',
    [await readFile(join(folder, 'link.tar.gz')), await layer({ 'door/planted': 'x' })],
    {},
  )
  await client.create('evil', 'team/evil:1.0')

  const job = await client.ended('evil')

  expect(job.FailureReason).toMatch(/writes '.*door\/.*' through 'door'/)
  await expect(readFile(join(target, 'planted'))).rejects.toThrow(/ENOENT/)
})

test('ECR lists what has been pushed and deletes it', async () => {
  const ecr = new ECRClient(running.client)
  const digest = await push('team/listed', [await layer({ a: '' })], {})
  const { repositories } = await ecr.send(new DescribeRepositoriesCommand())
  const { imageDetails } = await ecr.send(
    new DescribeImagesCommand({ repositoryName: 'team/listed' }),
  )
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand())

  const { imageIds } = await ecr.send(
    new BatchDeleteImageCommand({
      repositoryName: 'team/listed',
      imageIds: [{ imageTag: '1.0' }],
    }),
  )

  const uris = repositories?.map(({ repositoryUri }) => repositoryUri)
  expect(uris).toContain(`${new URL(running.url).host}/team/listed`)
  expect(imageDetails).toMatchObject([{ imageDigest: digest, imageTags: ['1.0'] }])
  expect(authorizationData?.[0]?.proxyEndpoint).toBe(running.url)
  expect(imageIds).toEqual([{ imageDigest: digest, imageTag: '1.0' }])
  await expect(
    ecr.send(new DescribeImagesCommand({ repositoryName: 'team/nothing' })),
  ).rejects.toMatchObject({ name: 'RepositoryNotFoundException' })
})
