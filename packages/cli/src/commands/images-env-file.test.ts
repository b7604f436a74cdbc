import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { unquoted } from './images-env-file.ts'

const MAIN = join(import.meta.dirname, '..', 'main.ts')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-env-file-'))
})
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

/** The ECR repositories of a policy, whose region a variable names. */
async function regionWith(text: string, environment: Record<string, string> = {}) {
  const file = join(folder, 'project.env')
  await writeFile(file, text)
  const args = [MAIN, '--env-file', file, 'aws', 'print-policy', 'push', '--account', '1']
  const { PATH } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { PATH, ...environment },
  })
  const { Statement } = JSON.parse(stdout) as { Statement: { Resource: string[] }[] }
  return Statement[1]?.Resource[0]
}

test('--env-file takes a value as it stands there, as docker does with the same file', async () => {
  expect(await regionWith('# no\nAWS_REGION=p@:/ # $x\n')).toBe(
    'arn:aws:ecr:p@:/ # $x:1:repository/mlflow*',
  )
})

test('what is set already wins over --env-file', async () => {
  expect(await regionWith('AWS_REGION=from-the-file\n', { AWS_REGION: 'from-outside' })).toBe(
    'arn:aws:ecr:from-outside:1:repository/mlflow*',
  )
})

test.each([
  ['"a b"', 'a b'],
  ["'a'", 'a'],
  ['"a', '"a'],
  ['"', '"'],
  [`a"b"`, `a"b"`],
])('of %s the value is %s', (written, value) => {
  expect(unquoted(written)).toBe(value)
})
