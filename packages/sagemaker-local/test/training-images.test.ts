import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  BatchDeleteImageCommand,
  DescribeImagesCommand,
  DescribeRepositoriesCommand,
  ECRClient,
  GetAuthorizationTokenCommand,
} from '@aws-sdk/client-ecr'
import { create } from 'tar'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { imageLayer, pushImage } from './pushed-images.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'
import { trainingClient } from './training-client.ts'

let running: TestPlane
let client: Awaited<ReturnType<typeof trainingClient>>

beforeAll(async () => {
  running = await startTestPlane()
  client = await trainingClient(running)
})
afterAll(() => running[Symbol.asyncDispose]())

const push = (name: string, layers: Buffer[], config: object) =>
  pushImage(running.url, name, layers, config)
const layer = (files: Record<string, string>, programs: string[] = []) =>
  imageLayer(running.directory, files, programs)

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

test('an image of the registry is charged for its own processes alone', async () => {
  // So little for each job that the rest of the machine holds more.
  await using small = await startTestPlane({ places: 200 })
  const jobs = await trainingClient(small)
  const files = { 'usr/local/bin/train': '#!/bin/sh\nsleep 2\n' }
  const layers = [await imageLayer(small.directory, files, ['/bin/sh', '/bin/sleep'])]
  await pushImage(small.url, 'team/quiet', layers, { Env: ['PATH=/usr/local/bin:/bin'] })
  await jobs.create('quiet', 'team/quiet:1.0')

  const job = await jobs.ended('quiet')

  expect(job.FailureReason).toBeUndefined()
  expect(job.TrainingJobStatus).toBe('Completed')
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

test('a layer that would remove the folder above it is refused', async () => {
  await push('team/climber', [await layer({ 'work/.wh...': '' })], {})
  await client.create('climber', 'team/climber:1.0')

  expect((await client.ended('climber')).FailureReason).toMatch(/removes '.*work\/\.wh\.\.\.'/)
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
