import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe } from 'vitest'
import { describeArtifactStore } from '../test/artifact-store-behaviour.ts'
import { S3_CREDENTIALS, type S3Server, s3ServerNames, startS3Server } from '../test/s3-servers.ts'
import { openStore } from './artifact-store.ts'
import { parseLocation } from './location.ts'
import { DEFAULT_S3_OPTIONS } from './s3-options.ts'

Object.assign(process.env, S3_CREDENTIALS)

describe.each(s3ServerNames())('on %s', (name) => {
  let server: S3Server
  beforeAll(async () => {
    server = await startS3Server(name)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const openEmpty = (prefix = randomUUID()) =>
    openStore(parseLocation(`s3://${server.bucket}/tests/${prefix}`), {
      s3: { ...DEFAULT_S3_OPTIONS, endpoint: server.endpoint },
    })

  const isMoto = name === 'moto'
  describeArtifactStore('the S3 store', async () => openEmpty(), {
    replacesAtomically: isMoto,
    knowsFirstByte: isMoto,
    streamedMib: 128,
  })
})
