import { existsSync } from 'node:fs'
import { describe, test } from 'vitest'
import { S3_CREDENTIALS, startS3Server } from '../../packages/artifacts/test/s3-servers.ts'
import { startStrictProxy } from '../../packages/artifacts/test/strict-s3-proxy.ts'
import { missingPython, pythonOf } from '../../tools/setup/python-environments.ts'
import { type CheckSetting, runChecks } from './python-checks.ts'
import { startServer } from './server.ts'

const CLIENT = 'mlflow-3.17.2'
const LIMIT_MS = 300_000
const ready = existsSync(pythonOf(CLIENT)) && existsSync(pythonOf('moto'))

describe.skipIf(!ready && !process.env['CI'])(`awkward names of the client ${CLIENT}`, () => {
  test('are kept in a folder', { timeout: LIMIT_MS }, () => passes({}))

  test('are kept in S3 that is strict', { timeout: LIMIT_MS }, async () => {
    await using s3 = await startS3Server('moto')
    await using proxy = await startStrictProxy(s3.endpoint)
    const env = { ...S3_CREDENTIALS, MLFLOW_S3_ENDPOINT_URL: proxy.endpoint }
    const kept = ['--artifacts-destination', `s3://${s3.bucket}/kept`]

    await passes({ server: { args: kept, env } })
  })

  test('are kept in S3 by the client itself', { timeout: LIMIT_MS }, async () => {
    await using s3 = await startS3Server('moto')
    const env = { ...S3_CREDENTIALS, MLFLOW_S3_ENDPOINT_URL: s3.endpoint }
    const root = ['--default-artifact-root', `s3://${s3.bucket}/direct`]

    await passes({ server: { args: root, env }, clientEnv: env })
  })

  test('are kept behind another server', { timeout: LIMIT_MS }, async () => {
    await using behind = await startServer('millrace')
    const route = `${behind.url}/api/2.0/mlflow-artifacts/artifacts/kept`

    await passes({ server: { args: ['--artifacts-destination', route] } })
  })
})

async function passes(setting: CheckSetting): Promise<void> {
  if (!ready) throw new Error(missingPython(CLIENT))
  const checks = await runChecks(CLIENT, 'artifact_names', setting)
  const failed = checks.filter(({ ok }) => !ok)
  if (failed.length === 0) return
  throw new Error(failed.map(({ check, detail }) => `${check}:\n${detail}`).join('\n\n'))
}
