import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, test } from 'vitest'
import {
  S3_CREDENTIALS,
  type S3Server,
  startS3Server,
} from '../../packages/artifacts/test/s3-servers.ts'
import { missingPython, pythonOf } from '../../tools/setup/python-environments.ts'
import { type CheckSetting, runChecks } from './python-checks.ts'

const CLIENT = 'mlflow-3.17.2'
/** Small enough that a test of parts sends two of them; S3 takes no parts below 5 MiB. */
const PARTS = {
  MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE: String(5 * 1024 * 1024),
  MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE: String(5 * 1024 * 1024),
  MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE: String(1024 * 1024),
}

const ready = existsSync(pythonOf(CLIENT)) && existsSync(pythonOf('moto'))

describe.skipIf(!ready && !process.env['CI'])(`client ${CLIENT} and S3`, () => {
  let s3: S3Server
  beforeAll(async () => {
    if (!ready) throw new Error(missingPython(CLIENT))
    s3 = await startS3Server('moto')
  })
  afterAll(() => s3[Symbol.asyncDispose]())

  const destination = () => ['--artifacts-destination', `s3://${s3.bucket}/kept/here`]
  const env = () => ({ ...S3_CREDENTIALS, MLFLOW_S3_ENDPOINT_URL: s3.endpoint })
  const seen = () => ({ S3_CHECK_ENDPOINT: s3.endpoint, S3_CHECK_BUCKET: s3.bucket })

  const cases: [what: string, script: string, setting: () => CheckSetting][] = [
    [
      'through a server that keeps no links',
      's3_proxied',
      () => ({
        server: { args: [...destination(), '--no-direct-transfers'], env: env() },
        clientEnv: seen(),
      }),
    ],
    [
      'in parts and by links, as the server offers',
      's3_links',
      () => ({
        server: { args: destination(), env: env() },
        clientEnv: { ...seen(), ...PARTS },
      }),
    ],
    [
      'in parts and by links, as the client insists',
      's3_links',
      () => ({
        server: { args: destination(), env: env() },
        clientEnv: {
          ...seen(),
          ...PARTS,
          MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD: 'true',
          MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD: 'true',
        },
      }),
    ],
    [
      'written by the client itself',
      's3_direct',
      () => ({
        server: { args: ['--default-artifact-root', `s3://${s3.bucket}/direct`], env: env() },
        clientEnv: { ...seen(), ...env() },
      }),
    ],
  ]
  test.each(cases)('artifacts %s', { timeout: 300_000 }, async (_what, script, setting) => {
    const checks = await runChecks(CLIENT, script, setting())
    const failed = checks.filter(({ ok }) => !ok)
    if (failed.length === 0) return
    throw new Error(failed.map(({ check, detail }) => `${check}:\n${detail}`).join('\n\n'))
  })
})
