import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ImageStore, openImageStore, removeUnusedBlobs } from '../src/registry/image-store.ts'
import { deleteImages, listImages, locateImage } from '../src/registry/images.ts'
import { mountRegistry } from '../src/registry/mount-registry.ts'
import { createRegistryToken } from '../src/registry/registry-token.ts'
import { createRepository, deleteRepository } from '../src/registry/repositories.ts'

const OCI = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
const SECRET = 'the secret of the tokens'

let directory: string
let store: ImageStore
let app: FastifyInstance
let url: string
let authorization: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-registry-'))
  store = openImageStore(directory)
  createRepository(store, 'team/app')
  app = fastify({ forceCloseConnections: true, logger: { level: 'error' } })
  await app.register(async (scope) => mountRegistry(scope, { store, tokenSecret: SECRET }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  authorization = `Basic ${createRegistryToken(SECRET).authorizationToken}`
})

afterEach(async () => {
  await app.close()
  store[Symbol.dispose]()
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
})

const digestOf = (body: string) => `sha256:${createHash('sha256').update(body).digest('hex')}`
const call = (method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
  fetch(new URL(path, url), {
    method,
    headers: { authorization, ...headers },
    ...(body !== undefined && { body }),
  })
const codeOf = async (response: Response) => {
  const { errors } = (await response.json()) as { errors: { code: string }[] }
  return `${response.status} ${errors[0]?.code}`
}

async function pushBlob(body: string, repository = 'team/app') {
  const digest = digestOf(body)
  const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`
  expect((await call('POST', path, body)).status).toBe(201)
  return { mediaType: 'application/octet-stream', digest, size: body.length }
}

async function pushImage(tag: string, layer: string, mediaType = OCI) {
  const config = {
    ...(await pushBlob('{}')),
    mediaType: 'application/vnd.oci.image.config.v1+json',
  }
  const layers = [await pushBlob(layer)]
  const body = JSON.stringify({ schemaVersion: 2, mediaType, config, layers })
  const response = await call('PUT', `/v2/team/app/manifests/${tag}`, body, {
    'content-type': mediaType,
  })
  expect(response.status).toBe(201)
  return { body, digest: digestOf(body), mediaType, size: body.length }
}

const files = async () =>
  (await readdir(join(directory, 'blobs'), { recursive: true, withFileTypes: true })).filter(
    (entry) => entry.isFile(),
  ).length

describe('blobs', () => {
  test('a blob arrives in chunks, and a chunk that does not go on is sent again', async () => {
    const start = await call('POST', '/v2/team/app/blobs/uploads/')
    expect(start.status).toBe(202)
    const location = start.headers.get('location') ?? ''

    const first = await call('PATCH', location, 'abc', { 'content-range': '0-2' })
    expect(first.headers.get('range')).toBe('0-2')
    const gap = await call('PATCH', location, 'xyz', { 'content-range': '5-7' })
    expect([gap.status, gap.headers.get('range')]).toEqual([416, '0-2'])
    await call('PATCH', location, 'def', { 'content-range': '3-5' })
    expect((await call('GET', location)).headers.get('range')).toBe('0-5')
    const end = await call('PUT', `${location}?digest=${digestOf('abcdefg')}`, 'g')

    expect(end.status).toBe(201)
    const pulled = await call('GET', end.headers.get('location') ?? '')
    expect(await pulled.text()).toBe('abcdefg')
    expect((await call('GET', location)).status).toBe(404)
  })

  test('bytes with another digest are refused and forgotten', async () => {
    const path = `/v2/team/app/blobs/uploads/?digest=${digestOf('right')}`

    expect(await codeOf(await call('POST', path, 'wrong'))).toBe('400 DIGEST_INVALID')
    expect(await files()).toBe(0)
    expect(await readdir(join(directory, 'uploads'))).toEqual([])
  })

  test('a blob is pulled in ranges', async () => {
    const { digest } = await pushBlob('0123456789')
    const range = (value: string) =>
      call('GET', `/v2/team/app/blobs/${digest}`, undefined, { range: value })

    const part = await range('bytes=2-4')
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
      206,
      'bytes 2-4/10',
      '234',
    ])
    expect(await codeOf(await range('bytes=99-'))).toBe('416 RANGE_INVALID')
    const head = await call('HEAD', `/v2/team/app/blobs/${digest}`)
    expect(head.headers.get('content-length')).toBe('10')
  })

  test('a blob is mounted from another repository, or uploaded if that has it not', async () => {
    createRepository(store, 'other')
    const { digest } = await pushBlob('shared')
    const mount = (from: string) =>
      call('POST', `/v2/other/blobs/uploads/?mount=${digest}&from=${from}`)

    expect((await mount('absent')).status).toBe(202)
    expect((await call('HEAD', `/v2/other/blobs/${digest}`)).status).toBe(404)
    expect((await mount('team/app')).status).toBe(201)
    expect((await call('HEAD', `/v2/other/blobs/${digest}`)).status).toBe(200)
    expect(await files()).toBe(1)
  })

  test.each([
    ['/v2/team/app/blobs/sha256:..%2f..%2f..%2fregistry.db', '400 NAME_INVALID'],
    ['/v2/team/app/blobs/sha256:zz', '400 DIGEST_INVALID'],
    [`/v2/team/app/blobs/sha256:${'0'.repeat(64)}`, '404 BLOB_UNKNOWN'],
    ['/v2/team/app/blobs/uploads/..%2f..%2fregistry.db', '400 NAME_INVALID'],
    ['/v2/absent/tags/list', '404 NAME_UNKNOWN'],
    ['/v2/team/app/manifests/absent', '404 MANIFEST_UNKNOWN'],
  ])('%s is refused', async (path, code) => {
    expect(await codeOf(await call('GET', path))).toBe(code)
  })
})

describe('images', () => {
  test.each([OCI, DOCKER])('a %s is pulled by tag and by digest as it was pushed', async (type) => {
    const { body, digest } = await pushImage('v1', 'layer', type)

    for (const reference of ['v1', digest]) {
      const pulled = await call('GET', `/v2/team/app/manifests/${reference}`)
      expect(pulled.headers.get('content-type')).toBe(type)
      expect(pulled.headers.get('docker-content-digest')).toBe(digest)
      expect(await pulled.text()).toBe(body)
    }
  })

  test('a manifest is refused when it is wrong or names what is not there', async () => {
    const put = (reference: string, body: string, type = OCI) =>
      call('PUT', `/v2/team/app/manifests/${reference}`, body, { 'content-type': type })
    const config = { digest: digestOf('absent'), size: 6 }
    const image = JSON.stringify({ schemaVersion: 2, config, layers: [] })

    expect(await codeOf(await put('v1', image))).toBe('404 MANIFEST_BLOB_UNKNOWN')
    expect(await codeOf(await put('v1', 'no json'))).toBe('400 MANIFEST_INVALID')
    expect(await codeOf(await put('v1', image, 'text/plain'))).toBe('400 MANIFEST_INVALID')
    expect(await codeOf(await put('.v1', image))).toBe('400 TAG_INVALID')
    expect(await codeOf(await put(digestOf('other'), image))).toBe('400 DIGEST_INVALID')
    const index = JSON.stringify({ schemaVersion: 2, manifests: [config] })
    expect(await codeOf(await put('v1', index, INDEX))).toBe('404 MANIFEST_UNKNOWN')
  })

  test('an index leads to the image for a platform, whose files can be unpacked', async () => {
    const { digest, mediaType, size } = await pushImage('one', 'the layer')
    const platform = { os: 'linux', architecture: 'arm64' }
    const body = JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [{ digest, mediaType, size, platform }],
    })
    await call('PUT', '/v2/team/app/manifests/all', body, { 'content-type': INDEX })

    const located = locateImage(store, 'team/app', 'all', platform)

    expect(located.digest).toBe(digest)
    expect(await readFile(located.layers[0]?.file ?? '', 'utf8')).toBe('the layer')
    expect(() =>
      locateImage(store, 'team/app', 'all', { os: 'linux', architecture: 'riscv64' }),
    ).toThrow('linux/riscv64')
  })

  test('tags are listed page by page', async () => {
    for (const tag of ['b', 'a', 'c']) await pushImage(tag, 'layer')

    const first = await call('GET', '/v2/team/app/tags/list?n=2')
    expect(await first.json()).toEqual({ name: 'team/app', tags: ['a', 'b'] })
    const [, next = ''] = /<([^>]+)>; rel="next"/.exec(first.headers.get('link') ?? '') ?? []
    const second = await call('GET', next)
    expect(await second.json()).toEqual({ name: 'team/app', tags: ['c'] })
    expect(second.headers.get('link')).toBe(null)
    expect(await (await call('GET', '/v2/_catalog')).json()).toEqual({ repositories: ['team/app'] })
  })

  test('what is said about an image is found from it', async () => {
    const { digest, mediaType, size } = await pushImage('v1', 'layer')
    const config = await pushBlob('{}')
    const signature = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI,
      artifactType: 'application/x-signature',
      config,
      layers: [],
      subject: { digest, mediaType, size },
    })
    const pushed = await call('PUT', '/v2/team/app/manifests/sig', signature, {
      'content-type': OCI,
    })

    expect(pushed.headers.get('oci-subject')).toBe(digest)
    const found = await call('GET', `/v2/team/app/referrers/${digest}`)
    expect(await found.json()).toMatchObject({
      manifests: [{ digest: digestOf(signature), artifactType: 'application/x-signature' }],
    })
  })

  test('deleting an image deletes the blobs that no other image has, and only those', async () => {
    const first = await pushImage('v1', 'only in the first')
    await pushImage('v2', 'only in the second')
    expect(await files()).toBe(3)

    await call('DELETE', `/v2/team/app/manifests/${first.digest}`)

    expect(await files()).toBe(2)
    expect(listImages(store, 'team/app').map(({ tags }) => tags)).toEqual([['v2']])
    expect((await call('GET', '/v2/team/app/manifests/v1')).status).toBe(404)
  })

  test('what ECR deletes by tag is the tag, and the image with its last one', async () => {
    const { digest } = await pushImage('v1', 'layer')
    await pushImage('latest', 'layer')
    const sizes = listImages(store, 'team/app').map(({ sizeBytes }) => sizeBytes)

    expect(sizes).toEqual([7])
    expect(deleteImages(store, 'team/app', [{ tag: 'v1' }, { tag: 'absent' }])).toEqual({
      deleted: [{ digest, tag: 'v1' }],
      failures: [
        { id: { tag: 'absent' }, code: 'ImageNotFound', reason: 'Requested image not found' },
      ],
    })
    expect(listImages(store, 'team/app')[0]?.tags).toEqual(['latest'])
    expect(deleteImages(store, 'team/app', [{ tag: 'latest' }]).deleted).toEqual([
      { digest, tag: 'latest' },
    ])
    expect(listImages(store, 'team/app')).toEqual([])
    expect(await files()).toBe(0)
  })

  test('an image of an index is not deleted before it', async () => {
    const { digest, mediaType, size } = await pushImage('one', 'layer')
    const body = JSON.stringify({ schemaVersion: 2, manifests: [{ digest, mediaType, size }] })
    await call('PUT', '/v2/team/app/manifests/all', body, { 'content-type': INDEX })

    expect(deleteImages(store, 'team/app', [{ digest }]).failures[0]?.code).toBe(
      'ImageReferencedByManifestList',
    )
    expect(deleteImages(store, 'team/app', [{ tag: 'all' }, { digest }]).failures).toEqual([])
  })

  test('a tag of an immutable repository is pushed once', async () => {
    createRepository(store, 'fixed', { isImmutable: true })
    const push = async (layer: string) => {
      const config = await pushBlob('{}', 'fixed')
      const layers = [await pushBlob(layer, 'fixed')]
      return call(
        'PUT',
        '/v2/fixed/manifests/v1',
        JSON.stringify({ schemaVersion: 2, config, layers }),
        { 'content-type': OCI },
      )
    }

    expect((await push('a')).status).toBe(201)
    expect((await push('a')).status).toBe(201)
    expect(await codeOf(await push('b'))).toBe('400 TAG_INVALID')
  })
})

describe('repositories', () => {
  test('one with images is deleted only with them', async () => {
    await pushImage('v1', 'layer')

    expect(() => deleteRepository(store, 'team/app')).toThrow('still contains images')
    deleteRepository(store, 'team/app', { withImages: true })

    expect(await files()).toBe(0)
    expect(await codeOf(await call('GET', '/v2/team/app/tags/list'))).toBe('404 NAME_UNKNOWN')
  })

  test.each(['Upper', 'a//b', '../a', 'a', `${'a'.repeat(257)}`])('%s is no name', (name) => {
    expect(() => createRepository(store, name)).toThrow(
      expect.objectContaining({ code: 'NAME_INVALID' }),
    )
  })

  test('what nobody named for a day is removed', async () => {
    await pushBlob('never in an image')
    await call('POST', '/v2/team/app/blobs/uploads/')

    expect(await removeUnusedBlobs(store)).toBe(0)
    expect(await removeUnusedBlobs(store, Date.now() + 25 * 3600 * 1000)).toBe(1)

    expect(await files()).toBe(0)
    expect(await readdir(join(directory, 'uploads'))).toEqual([])
  })
})

describe('logins', () => {
  test('where none is asked for, pages of other sites are refused all the same', async () => {
    const open = fastify()
    await open.register(async (scope) => mountRegistry(scope, { store }))
    const probe = async (headers: Record<string, string>) =>
      (await open.inject({ url: '/v2/', headers })).statusCode

    expect(await probe({ host: 'localhost:5055' })).toBe(200)
    expect(await probe({ host: 'registry.example' })).toBe(403)
    expect(await probe({ host: 'localhost:5055', origin: 'https://evil.example' })).toBe(403)
    await open.close()
  })

  test('a token is good for twelve hours and cannot be made up', async () => {
    const probe = async (token: string) =>
      (await fetch(`${url}/v2/`, { headers: { authorization: token } })).status
    const { authorizationToken } = createRegistryToken(SECRET, Date.now() - 12 * 3600 * 1000 - 1)

    expect(await probe(authorization)).toBe(200)
    expect(await probe(`Basic ${authorizationToken}`)).toBe(401)
    expect(await probe(`Basic ${createRegistryToken('other').authorizationToken}`)).toBe(401)
    expect(await probe('Bearer x')).toBe(401)
    const challenge = await fetch(`${url}/v2/`)
    expect(challenge.headers.get('www-authenticate')).toMatch(/^Basic realm=/)
  })
})
