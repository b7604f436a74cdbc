import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeArtifactStore } from '../test/artifact-store-behaviour.ts'
import {
  type GcsEmulator,
  hasGcsEmulator,
  missingGcsEmulator,
  startGcsEmulator,
} from '../test/gcs-emulator.ts'
import { parseArtifactPath as at } from './artifact-path.ts'
import { openStore } from './artifact-store.ts'
import { checkStore } from './check-store.ts'
import { parseLocation } from './location.ts'

test.each(['gs://', 'gs://x', 'gs://bucket:80/x', 'gs://Bucket/x'])(
  '%s is asked for nowhere, as it is no bucket',
  async (uri) => {
    await expect(openStore(parseLocation(uri)).list(at(''))).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
    })
  },
)

test('a store that cannot be reached is a 503 that says when to try again', async () => {
  const store = openStore(parseLocation('gs://bucket/x'), {
    gcs: { endpoint: 'http://127.0.0.1:9' },
  })

  await expect(store.list(at(''))).rejects.toMatchObject({
    code: 'TEMPORARILY_UNAVAILABLE',
    retryAfterSeconds: 5,
  })
})

describe('with an emulator', () => {
  if (!hasGcsEmulator) {
    test('the Google store', (context) => context.skip(missingGcsEmulator))
    return
  }

  let emulator: GcsEmulator
  beforeAll(async () => {
    emulator = await startGcsEmulator()
  })
  afterAll(() => emulator[Symbol.asyncDispose]())

  const open = (uri: string) => openStore(parseLocation(uri), { gcs: emulator })

  describeArtifactStore(
    'the Google store',
    async () => open(`gs://${emulator.bucket}/tests/${randomUUID()}`),
    // It answers one request at a time, and so not while a reader waits with another.
    { replacesAtomically: false },
  )

  test('a bucket that gives every right is left as it was', async () => {
    const uri = `gs://${emulator.bucket}/${randomUUID()}`

    await checkStore(parseLocation(uri), { access: 'write', gcs: emulator })

    expect(await open(uri).list(at(''))).toEqual([])
  })

  test('a missing bucket is named', async () => {
    await expect(open('gs://no-such-bucket/x').list(at(''))).rejects.toMatchObject({
      code: 'RESOURCE_DOES_NOT_EXIST',
    })
  })
})
