import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from '../../../tools/setup/step.mjs'
import { predictOnce } from '../src/predict-once.ts'
import { type ScoringModels, scoringModels } from './scoring-models.ts'

const LIMIT_MS = 300_000

let folder: string
let models: ScoringModels

beforeAll(async () => {
  models = await scoringModels('mlflow-3.17.2')
  folder = await mkdtemp(join(tmpdir(), 'millrace-predict-'))
}, LIMIT_MS)
afterAll(() => rm(folder, { recursive: true }))

function predict(...args: string[]) {
  const main = join(root, 'packages/cli/src/main.ts')
  return promisify(execFile)(
    process.execPath,
    [main, 'models', 'predict', '--env-manager', 'local', ...args],
    { env: { ...process.env, MILLRACE_PYTHON: models.python } },
  )
}

test(
  'a file is answered into a file',
  async () => {
    const [input, output] = [join(folder, 'rows.csv'), join(folder, 'answer.json')]
    await writeFile(input, 'a,b\n1,2\n3,4\n')
    await predict('-m', models.directory('unsigned'), '-i', input, '-o', output, '-t', 'csv')

    const { predictions } = JSON.parse(await readFile(output, 'utf8')) as { predictions: number[] }
    expect(predictions.map((number) => number.toFixed(6))).toEqual(['4.000000', '10.000000'])
  },
  LIMIT_MS,
)

test(
  'what the model prints stays out of the answer',
  async () => {
    const input = join(folder, 'print.json')
    await writeFile(input, '{"dataframe_records":[{"do":"print"}]}')
    const { stdout, stderr } = await predict('-m', models.directory('actor'), '-i', input)

    expect(JSON.parse(stdout)).toEqual({ predictions: { pid: expect.any(Number) } })
    expect(stderr).toContain('printed by the model')
  },
  LIMIT_MS,
)

test(
  'a model that 2.22 saved answers with 2.22, and refuses in its words',
  async () => {
    const old = await scoringModels('mlflow-2.22.0')
    const ask = (text: string) =>
      predictOnce({
        modelUri: old.directory('signed'),
        tracking: undefined,
        contentType: 'application/json',
        input: Buffer.from(text),
        manager: 'local',
        installMlflow: false,
        environment: { ...process.env, MILLRACE_PYTHON: old.python },
        signal: new AbortController().signal,
        log: () => {},
        onOutput: () => {},
      })

    const [answer, refusal] = await Promise.allSettled([
      ask('{"dataframe_split":{"columns":["a","b"],"data":[[1,2]]}}'),
      ask('[1, 2]'),
    ])
    expect(answer).toMatchObject({ status: 'fulfilled' })
    expect(String(answer.status === 'fulfilled' && answer.value)).toMatch(
      /^\{"predictions": \[4\.0/,
    )
    expect(refusal).toMatchObject({
      status: 'rejected',
      reason: { code: 'BAD_REQUEST', message: expect.stringContaining('Received a list') },
    })
  },
  LIMIT_MS,
)
