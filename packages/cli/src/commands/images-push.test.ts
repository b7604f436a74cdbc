import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { billOfMaterials } from '@millrace/sagemaker/images/bill-of-materials'
import { readImage, writeLayout } from '@millrace/sagemaker/images/oci-layout'
import { pullImage } from '@millrace/sagemaker/images/pull-image'
import { createRegistryClient } from '@millrace/sagemaker/images/registry-client'
import { attachBill, writeImage } from '@millrace/sagemaker/images/write-image'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { codeEntries } from './images-code.ts'
import { parseEnvFile } from './images-env-file.ts'
import { push } from './images-push.ts'

const ECR = '123456789012.dkr.ecr.us-east-1.amazonaws.com'
const NO_FLAGS = { alsoTag: [] }

let folder: string
let plane: Plane

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-ecr-'))
  plane = await startPlane({
    directory: join(folder, 'plane'),
    port: 0,
    environment: {},
    hasRunner: false,
    accessKeys: [{ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }],
  })
  vi.stubEnv('AWS_ENDPOINT_URL', plane.url)
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret')
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await plane[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** An image of two layers, the upper one with this code. */
async function imageOf(name: string, code: string): Promise<string> {
  const layout = join(folder, name)
  const layer = (path: string, text: string) => ({
    name: path,
    entries: [{ kind: 'file' as const, path, mode: 0o755, bytes: Buffer.from(text) }],
  })
  const image = await writeImage(
    layout,
    {
      architecture: 'amd64',
      layers: [layer('usr/bin/python', 'heavy'), layer('opt/program/train', code)],
      config: { Cmd: ['train'] },
    },
    join(folder, 'cache'),
  )
  const bill = billOfMaterials({ name, version: '1' }, [])
  await writeLayout(layout, [image, await attachBill(layout, image, bill)], name)
  return layout
}

describe('millrace images push', () => {
  test('makes the repository in ECR, logs in with the AWS credentials, and can be pulled again', async () => {
    const layout = await imageOf('first', 'print(1)')

    const digest = await push(layout, `${ECR}/team/trainer:1`, { alsoTag: ['latest'] })

    const login = { username: 'AWS', password: await password() }
    const call = createRegistryClient({ url: plane.url, login })
    for (const reference of ['1', 'latest', digest]) {
      const into = { layout: join(folder, `pulled-${reference.slice(-4)}`), architecture: 'amd64' }
      const pulled = await pullImage(call, { ...into, repository: 'team/trainer', reference })
      expect(pulled.descriptor.digest).toBe(digest)
    }
  })

  test('sends only the code when only the code has changed', async () => {
    const first = await readImage(await imageOf('before', 'print(1)'), 'amd64')
    const changed = await imageOf('after', 'print(2)')
    const second = await readImage(changed, 'amd64')
    await push(join(folder, 'before'), `${ECR}/team/layers:1`, NO_FLAGS)
    const said: string[] = []
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      said.push(String(text))
      return true
    })

    await push(changed, `${ECR}/team/layers:2`, NO_FLAGS)
    write.mockRestore()

    const outcome = (digest = '') => said.find((line) => line.startsWith(digest.slice(0, 19)))
    expect(second.manifest.layers[0]).toEqual(first.manifest.layers[0])
    expect(outcome(second.manifest.layers[0]?.digest)).toContain('there already')
    expect(outcome(second.manifest.layers[1]?.digest)).toContain('uploaded')
  })

  test('says in one sentence that the login is missing or wrong', async () => {
    const layout = await imageOf('refused', 'print(1)')
    const host = new URL(plane.url).host

    await expect(push(layout, `${host}/team/x:1`, NO_FLAGS)).rejects.toThrow('wants a login')
    const wrong = { ...NO_FLAGS, username: 'AWS', password: 'wrong' }
    await expect(push(layout, `${host}/team/x:1`, wrong)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    })
    await expect(push(layout, 'team/x:1', NO_FLAGS)).rejects.toThrow('names no registry')
  })
})

/** What `aws ecr get-login-password` prints. */
async function password(): Promise<string> {
  const { openEcrRepository } = await import('@millrace/sagemaker/images/ecr-repository')
  const registry = { account: '123456789012', region: 'us-east-1' }
  return (await openEcrRepository(registry, 'team/trainer')).login.password
}

describe('the code of an image', () => {
  test('that is not there is refused in a sentence that says what to name', async () => {
    await expect(codeEntries(join(folder, 'nothing'))).rejects.toThrow(
      /^--code .*nothing is no directory here: name the one that 'train' is in\.$/,
    )
  })

  const program = async (text: string, mode: number) => {
    const directory = await mkdtemp(join(folder, 'code-'))
    await writeFile(join(directory, 'train'), text, { mode })
    return directory
  }

  test('lies in /opt/program, with its programs executable', async () => {
    const entries = await codeEntries(await program('#!/usr/bin/env python3\n', 0o755))

    expect(entries).toMatchObject([{ path: 'opt/program/train', mode: 0o755 }])
  })

  test.each([
    ['is not executable', '#!/usr/bin/env python3\n', 0o644],
    ['has Windows line ends', '#!/usr/bin/env python3\r\n', 0o755],
    ['does not say what runs it', 'import mlflow\n', 0o755],
  ])('is refused when train %s, which SageMaker would not say', async (reason, text, mode) => {
    await expect(codeEntries(await program(text, mode))).rejects.toThrow(reason)
  })
})

test('an env file is read as Docker reads it: nothing is taken off a value', () => {
  const text = '# no\n\nA=1\n B="x y"\nC=a=b#c \nD\nE\nPASSWORD=p@:/# \'"$x\n'

  expect(parseEnvFile(text, { D: 'from outside' })).toEqual({
    A: '1',
    B: '"x y"',
    C: 'a=b#c ',
    D: 'from outside',
    PASSWORD: 'p@:/# \'"$x',
  })
  expect(() => parseEnvFile('A=1\nexport B=2\n', {})).toThrow('Line 2 of the env file')
})
