import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createRegistryClient } from './registry-client.ts'
import { type BlobUpload, uploadBlob } from './upload-blob.ts'

const MEBIBYTE = 2 ** 20

/** A registry with one upload, which may break it off, and the requests that it saw. */
interface FlakyRegistry extends AsyncDisposable {
  url: string
  blobs: Map<string, Buffer>
  seen: string[]
}

let folder: string
let upload: BlobUpload
let content: Buffer
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-upload-'))
  content = randomBytes(2_500)
  const file = join(folder, 'blob')
  await writeFile(file, content)
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
  upload = { repository: 'team/x', digest, size: content.length, file, chunkSize: 1_000 }
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

/**
 * @param breakAt of the `PATCH` of that number it keeps the first 300 bytes and cuts the line
 * @param onBytes told of every piece that comes, which is then thrown away
 */
async function startRegistry(
  breakAt = 0,
  forgets = false,
  onBytes?: () => void,
): Promise<FlakyRegistry> {
  const blobs = new Map<string, Buffer>()
  const seen: string[] = []
  let upload = Buffer.alloc(0)
  let patches = 0
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', 'http://registry')
    seen.push(`${request.method} ${request.headers['content-range'] ?? url.search}`.trim())
    const known = blobs.has(url.pathname.split('/').at(-1) ?? '')
    if (request.method === 'HEAD') return response.writeHead(known ? 200 : 404).end()
    const mount = url.searchParams.get('mount')
    if (mount && blobs.has(`old ${mount}`)) return response.writeHead(201).end()
    if (request.method === 'POST') {
      upload = Buffer.alloc(0)
      return response.writeHead(202, { location: '/v2/team/x/blobs/uploads/1?state=a' }).end()
    }
    if (request.method === 'PATCH') {
      if (onBytes) for await (const _ of request) onBytes()
      const body = await buffer(request)
      patches += 1
      const isCut = patches === breakAt
      upload = Buffer.concat([upload, isCut ? body.subarray(0, 300) : body])
      if (isCut) return request.socket.destroy()
    }
    if (request.method === 'PUT') {
      blobs.set(url.searchParams.get('digest') ?? '', upload)
      return response.writeHead(201).end()
    }
    if (request.method === 'GET' && forgets) return response.writeHead(404).end()
    const range = `0-${upload.length - 1}`
    const location = '/v2/team/x/blobs/uploads/1?state=b'
    return response.writeHead(request.method === 'GET' ? 204 : 202, { range, location }).end()
  }
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    blobs,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('uploading a blob', () => {
  test('sends it in one request, and what is missing in another when the line broke', async () => {
    await using registry = await startRegistry(1)

    await uploadBlob(createRegistryClient(registry), { ...upload, chunkSize: undefined })

    expect(registry.blobs.get(upload.digest)).toEqual(content)
    expect(registry.seen.filter((request) => request.startsWith('PATCH'))).toEqual([
      'PATCH 0-2499',
      'PATCH 300-2499',
    ])
  })

  test('does not hold it in memory', async () => {
    const size = 256 * MEBIBYTE
    await truncate(upload.file, size)
    let mostHeld = 0
    await using registry = await startRegistry(0, false, () => {
      mostHeld = Math.max(mostHeld, process.memoryUsage().arrayBuffers)
    })

    await uploadBlob(createRegistryClient(registry), { ...upload, size, chunkSize: undefined })

    expect(registry.seen).toContain(`PATCH 0-${size - 1}`)
    expect(mostHeld).toBeLessThan(size / 2)
  })

  test('sends it in chunks that say where they belong, when that is asked for', async () => {
    await using registry = await startRegistry()

    expect(await uploadBlob(createRegistryClient(registry), upload)).toBe('uploaded')
    expect(registry.blobs.get(upload.digest)).toEqual(content)
    expect(registry.seen).toEqual([
      'HEAD',
      'POST',
      'PATCH 0-999',
      'PATCH 1000-1999',
      'PATCH 2000-2499',
      `PUT ?state=b&digest=${encodeURIComponent(upload.digest)}`,
    ])
  })

  test('goes on from the byte that the registry had when the line broke', async () => {
    await using registry = await startRegistry(2)

    await uploadBlob(createRegistryClient(registry), upload)

    expect(registry.blobs.get(upload.digest)).toEqual(content)
    expect(registry.seen.filter((request) => request.startsWith('PATCH'))).toEqual([
      'PATCH 0-999',
      'PATCH 1000-1999',
      'PATCH 1300-2299',
      'PATCH 2300-2499',
    ])
  })

  test('starts again when the registry has forgotten the upload', async () => {
    await using registry = await startRegistry(2, true)

    await uploadBlob(createRegistryClient(registry), upload)

    expect(registry.blobs.get(upload.digest)).toEqual(content)
  })

  test('sends nothing that the repository, or the one to mount from, has', async () => {
    await using registry = await startRegistry()
    const call = createRegistryClient(registry)
    registry.blobs.set(`old ${upload.digest}`, content)

    expect(await uploadBlob(call, { ...upload, mountFrom: 'team/old' })).toBe('mounted')
    registry.blobs.set(upload.digest, content)
    expect(await uploadBlob(call, upload)).toBe('there already')
    expect(registry.seen.some((request) => request.startsWith('PATCH'))).toBe(false)
  })

  test('gives up with the name of a registry that is not there', async () => {
    const registry = await startRegistry()
    await registry[Symbol.asyncDispose]()
    const call = createRegistryClient(registry)

    await expect(uploadBlob(call, upload)).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: `Cannot reach the registry at ${new URL(registry.url).host}`,
    })
  })
})
