import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { freePort } from '../../../../tools/free-port.ts'
import { billOfMaterials } from './bill-of-materials.ts'
import { blobsOf, readImage, writeLayout } from './oci-layout.ts'
import { pullImage } from './pull-image.ts'
import { pushImage } from './push-image.ts'
import { createRegistryClient } from './registry-client.ts'
import { attachBill, writeImage, writeImageIndex } from './write-image.ts'

const REGISTRY = '/usr/bin/docker-registry'

let folder: string
let layout: string
let url: string
let registry: ChildProcess
let digest: string

async function startRegistry(): Promise<void> {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  const config = join(folder, 'config.yml')
  const storage = `{filesystem: {rootdirectory: ${JSON.stringify(join(folder, 'registry'))}}}`
  const lines = ['version: 0.1', `storage: ${storage}`, `http: {addr: '127.0.0.1:${port}'}`]
  await writeFile(config, lines.join('\n'))
  registry = spawn(REGISTRY, ['serve', config], { stdio: 'ignore' })
  await vi.waitFor(async () => expect((await fetch(`${url}/v2/`)).status).toBe(200), 10_000)
}

async function buildLayout(): Promise<void> {
  layout = join(folder, 'layout')
  const images = []
  for (const architecture of ['amd64', 'arm64'] as const) {
    const bytes = Buffer.from(`for ${architecture}`)
    const entries = [{ kind: 'file' as const, path: 'which', mode: 0o644, bytes }]
    const image = { architecture, layers: [{ name: 'x', entries }], config: { Cmd: ['x'] } }
    images.push(await writeImage(layout, image, join(folder, 'cache')))
  }
  const index = await writeImageIndex(layout, images, {})
  const bill = billOfMaterials({ name: 'x', version: '1' }, [])
  await writeLayout(layout, [index, await attachBill(layout, index, bill)], 'x')
  digest = index.digest
}

// The registry of the tests is Debian's package docker-registry.
describe.skipIf(!existsSync(REGISTRY))('pushing to a registry (needs docker-registry)', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-push-'))
    await Promise.all([startRegistry(), buildLayout()])
  })
  afterAll(async () => {
    registry.kill('SIGTERM')
    await once(registry, 'exit')
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  test('an image of two architectures arrives whole under all its tags', async () => {
    const call = createRegistryClient({ url })
    const pushed = await pushImage(call, { layout, repository: 'team/x', tags: ['1', 'latest'] })

    expect(pushed).toBe(digest)
    for (const reference of ['1', 'latest', digest]) {
      const into = join(folder, `pulled-${reference.slice(-6)}`)
      const pull = { repository: 'team/x', reference, architecture: 'arm64', layout: into }
      const { descriptor } = await pullImage(call, pull)
      expect(descriptor.digest).toBe((await readImage(layout, 'arm64')).descriptor.digest)
    }
  })

  test('the bill of materials is found from the image that it is about', async () => {
    const tag = digest.replace(':', '-')
    const referrers = await fetch(`${url}/v2/team/x/manifests/${tag}`, {
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
    })

    const { manifests } = (await referrers.json()) as { manifests: { artifactType: string }[] }
    expect(manifests.map(({ artifactType }) => artifactType)).toEqual([
      'application/vnd.cyclonedx+json',
    ])
  })

  test('a second push sends no layer, and one to another repository mounts them', async () => {
    const outcomes: Record<string, string[]> = { again: [], other: [] }
    const push = (key: string, repository: string, mountFrom?: string) =>
      pushImage(createRegistryClient({ url }), {
        layout,
        repository,
        mountFrom,
        tags: ['1'],
        onBlob: (_blob, outcome) => outcomes[key]?.push(outcome),
      })

    await push('again', 'team/x')
    await push('other', 'team/y', 'team/x')

    expect(new Set(outcomes['again'])).toEqual(new Set(['there already']))
    expect(new Set(outcomes['other'])).toEqual(new Set(['mounted']))
  })

  test('tags are set all or none: after a refused one they name what they named before', async () => {
    const call = createRegistryClient({ url })
    const old = join(folder, 'old')
    const bytes = Buffer.from('old')
    const entries = [{ kind: 'file' as const, path: 'which', mode: 0o644, bytes }]
    const platform = {
      architecture: 'amd64' as const,
      layers: [{ name: 'x', entries }],
      config: {},
    }
    await writeLayout(old, [await writeImage(old, platform, join(folder, 'cache-3'))], 'x')
    const before = await pushImage(call, { layout: old, repository: 'team/tags', tags: ['live'] })
    const taken: string[] = []

    const push = pushImage(call, {
      layout,
      repository: 'team/tags',
      tags: ['live', 'new', 'not a tag'],
      deleteTag: async (_call, _repository, tag) => void taken.push(tag),
    })

    await expect(push).rejects.toThrow()
    const live = await fetch(`${url}/v2/team/tags/manifests/live`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    })
    expect(live.headers.get('docker-content-digest')).toBe(before)
    expect(taken).toEqual(['new'])
  })

  test('a damaged layer is refused by its digest and leaves no tag', async () => {
    const copy = join(folder, 'damaged')
    const bytes = Buffer.from('other')
    const entries = [{ kind: 'file' as const, path: 'which', mode: 0o644, bytes }]
    const image = await writeImage(
      copy,
      { architecture: 'amd64', layers: [{ name: 'x', entries }], config: {} },
      join(folder, 'cache-2'),
    )
    await writeLayout(copy, [image], 'x')
    const { manifest } = await readImage(copy, 'amd64')
    const layer = manifest.layers[0]
    const broken = Buffer.alloc(layer?.size ?? 0)
    await rm(join(blobsOf(copy), layer?.digest.slice(7) ?? ''))
    await writeFile(join(blobsOf(copy), layer?.digest.slice(7) ?? ''), broken)

    const push = { layout: copy, repository: 'team/z', tags: ['bad'] }
    await expect(pushImage(createRegistryClient({ url }), push)).rejects.toThrow('DIGEST_INVALID')
    expect((await fetch(`${url}/v2/team/z/manifests/bad`)).status).toBe(404)
  })
})
