import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '@millrace/artifacts/artifact-store'
import { parseLocation } from '@millrace/artifacts/location'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { copyFiles, listTree } from './artifact-download.ts'

const PREFIX = '/api/2.0/mlflow-artifacts/artifacts'

let directory: string
let server: Server | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-download-'))
})
afterEach(async () => {
  server?.close()
  await rm(directory, { recursive: true })
})

/** An artifact proxy that lists what it is told to, and whose files hold their own path. */
async function startProxy(listings: Record<string, { path: string; is_dir: boolean }[]>) {
  const proxy = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://host')
    const file = url.pathname.slice(PREFIX.length + 1)
    const path = url.searchParams.get('path') ?? ''
    if (file) response.end(file)
    else response.end(JSON.stringify({ files: listings[path] ?? [] }))
  })
  server = proxy.listen(0, '127.0.0.1')
  await new Promise((resolve) => proxy.once('listening', resolve))
  return { port: (proxy.address() as AddressInfo).port }
}

async function copyTree(port: number, path = 'x') {
  const uri = `mlflow-artifacts:/${path}`
  const server = { url: `http://127.0.0.1:${port}`, headers: {} }
  const tree = { store: openStore(parseLocation(uri), { server }), uri }
  return copyFiles(tree, await listTree(tree), { directory })
}

test('a tree is copied, readable by its owner alone', async () => {
  const { port } = await startProxy({
    '1/model': [
      { path: 'MLmodel', is_dir: false },
      { path: '1/model/data', is_dir: true },
    ],
    '1/model/data': [{ path: 'a b%.pkl', is_dir: false }],
  })
  await copyTree(port, '1/model')

  expect(await readFile(join(directory, 'MLmodel'), 'utf8')).toBe('1/model/MLmodel')
  expect(await readdir(directory, { recursive: true })).toContain('data')
  expect((await stat(join(directory, 'MLmodel'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(directory, 'data'))).mode & 0o777).toBe(0o700)
})

describe('a server that lists', () => {
  test.each(['..', '.', 'a/..', 'C:', 'a\\b', 'a\u0000b', '%2e%2e', ''])(
    'the name %j writes nothing',
    async (name) => {
      const { port } = await startProxy({ x: [{ path: name, is_dir: false }] })

      await expect(copyTree(port)).rejects.toMatchObject({
        code: 'INVALID_PARAMETER_VALUE',
      })
      expect(await readdir(directory)).toEqual([])
    },
  )

  test('one name twice is refused', async () => {
    const twice = { path: 'a', is_dir: false }
    const { port } = await startProxy({ x: [twice, twice] })

    const download = copyTree(port)

    await expect(download).rejects.toMatchObject({ code: 'EEXIST' })
  })

  test('directories in directories without end is given up', async () => {
    const endless = new Proxy({}, { get: () => [{ path: 'd', is_dir: true }] })
    const { port } = await startProxy(endless)

    const download = copyTree(port)

    await expect(download).rejects.toThrow(/too many artifacts/)
  })

  test('nothing has no model', async () => {
    const { port } = await startProxy({})
    const download = copyTree(port)

    await expect(download).rejects.toMatchObject({ code: 'RESOURCE_DOES_NOT_EXIST' })
  })
})
