import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeArtifactStore } from '../test/artifact-store-behaviour.ts'
import { type Azurite, hasAzurite, missingAzurite, startAzurite } from '../test/azurite.ts'
import { parseArtifactPath as at } from './artifact-path.ts'
import { openStore } from './artifact-store.ts'
import type { AzureOptions } from './azure-account.ts'
import { checkStore } from './check-store.ts'
import { parseLocation } from './location.ts'

const root = at('')
const open = (uri: string, azure: AzureOptions) => openStore(parseLocation(uri), { azure })

test.each([
  'wasbs://box@account.blob.evil.example/x',
  'wasbs://box@account.blob.core.windows.net.evil.example/x',
  'wasbs://box@127.0.0.1:10000/x',
  'wasbs://account.blob.core.windows.net/x',
])('%s is asked for nowhere, as it is not in Azure', async (uri) => {
  await expect(open(uri, { accessKey: 'a2V5' }).list(root)).rejects.toMatchObject({
    code: 'INVALID_PARAMETER_VALUE',
  })
})

test('the key of one account is not used for another', async () => {
  const connectionString =
    'DefaultEndpointsProtocol=https;AccountName=mine;AccountKey=a2V5;EndpointSuffix=core.windows.net'
  const store = open('wasbs://box@yours.blob.core.windows.net/x', { connectionString })

  await expect(store.list(root)).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: "This server has no key for 'yours' in Azure.",
  })
})

describe('with Azurite', () => {
  if (!hasAzurite) {
    test('the Azure store', (context) => context.skip(missingAzurite))
    return
  }

  let azurite: Azurite
  beforeAll(async () => {
    azurite = await startAzurite()
  })
  afterAll(() => azurite[Symbol.asyncDispose]())

  describeArtifactStore(
    'the Azure store',
    async () => open(`${azurite.containerUri}/tests/${randomUUID()}`, azurite),
    { streamedMib: 128 },
  )

  test('a container that gives every right is left as it was', async () => {
    const uri = `${azurite.containerUri}/${randomUUID()}`

    await checkStore(parseLocation(uri), { access: 'write', azure: azurite })

    expect(await open(uri, azurite).list(root)).toEqual([])
  })

  test('a missing container and a wrong key are told', async () => {
    const missing = azurite.containerUri.replace('box@', 'none@')
    const { connectionString } = azurite
    const wrong = connectionString.replace(/AccountKey=[^;]+/, 'AccountKey=d3Jvbmc=')

    await expect(open(missing, azurite).list(root)).rejects.toMatchObject({
      message: 'There is no such container in Azure.',
    })
    await expect(
      open(azurite.containerUri, { connectionString: wrong }).list(root),
    ).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
  })
})
