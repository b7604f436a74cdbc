import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { findVersion, versionSource } from './model-version.ts'

test('a tracking server that does not answer is one sentence that says what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  server.close()
  await once(server, 'close')
  const tracking = { url, headers: {} }
  const refusal = {
    code: 'TEMPORARILY_UNAVAILABLE',
    message:
      `No tracking server answers at ${url}: start one with \`millrace server\`, or set ` +
      'MLFLOW_TRACKING_URI to the address of yours.',
  }

  await expect(versionSource({ name: 'a', version: '1' }, tracking)).rejects.toMatchObject(refusal)
  await expect(findVersion('models:/a@b', tracking)).rejects.toMatchObject(refusal)
})
