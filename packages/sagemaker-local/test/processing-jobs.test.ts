import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { pythonOf } from '../../../tools/setup/python-environments.ts'
import { needPython, observe } from './python-client.ts'
import { startTestPlane } from './start-test-plane.ts'

test('a ScriptProcessor of SDK 2.257 cleans data, fails with what its script said, and is stopped', async (context) => {
  for (const name of ['sagemaker-2.257', 'mlflow-3.17.2'] as const) await needPython(name, context)
  const folder = await mkdtemp(join(tmpdir(), 'millrace-processing-'))
  const imagesFile = join(folder, 'images.yaml')
  const interpreter = JSON.stringify(pythonOf('mlflow-3.17.2'))
  await writeFile(imagesFile, `images:\n  - { image: '*/plain:*', interpreter: ${interpreter} }\n`)
  await using running = await startTestPlane({ imagesFile })
  const s3 = new S3Client({ ...running.client, forcePathStyle: true })
  await s3.send(new CreateBucketCommand({ Bucket: 'training' }))

  const observed = await observe(running, 'sagemaker-2.257', 'processing_clients.py', [folder])

  expect(observed).toEqual({
    rows: ['b', 'c'],
    message: 'well done',
    log: ['kept 2 blue cleaning algo-1'],
    failure: true,
    listed: [
      ['cleaning', 'Completed'],
      ['failing', 'Failed'],
    ],
    tags: [{ Key: 'team', Value: 'blue' }],
    refusals: [
      'ValidationException',
      'ValidationException',
      'ValidationException',
      'ResourceInUse',
    ],
    stopped: 'Stopped',
  })
}, 360_000)
