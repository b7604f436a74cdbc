import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScoringModels, scoringModels } from '../../packages/scoring/test/scoring-models.ts'
import { type StartedRun, startMillrace } from './millrace-run.ts'

const LIMIT_MS = 300_000

let folder: string
let models: ScoringModels
let started: StartedRun | undefined

beforeAll(async () => {
  models = await scoringModels('mlflow-3.17.2')
  folder = await mkdtemp(join(tmpdir(), 'millrace-run-local-'))
}, LIMIT_MS)
afterAll(async () => {
  started?.child.kill('SIGKILL')
  await started?.ended
  await rm(folder, { recursive: true })
})

function runLocal(...args: string[]): StartedRun {
  const command = ['deployments', 'run-local', '-t', 'sagemaker', '--name', 'houses']
  const model = ['-m', models.directory('signed'), '--env-manager', 'local']
  return startMillrace(folder, [...command, ...model, ...args], { MILLRACE_PYTHON: models.python })
}

test(
  'run-local answers as an endpoint would, until it is stopped',
  async () => {
    started = runLocal('-C', 'port=0', '-C', 'image=mlflow-pyfunc')
    const [, url] = await started.printed(/houses answers at (\S+)\/ping and \S+\/invocations/)
    const pong = await fetch(`${url}/ping`)
    const answer = await fetch(`${url}/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: 'a,b\n1,2\n3,4\n',
    })

    expect(pong.status).toBe(200)
    const { predictions } = (await answer.json()) as { predictions: number[] }
    expect(predictions.map(Math.round)).toEqual([4, 10])
    expect(started.output()).toContain('The image mlflow-pyfunc is not started')
    started.child.kill('SIGTERM')
    expect((await started.ended).code).toBe(0)
  },
  LIMIT_MS,
)

test.each([
  [['-C', 'ports=1'], /run-local knows -C port=NUMBER and -C image=NAME, not 'ports=1'/],
  [['-f', 'sklearn'], /The flavor sklearn cannot be served, only python_function/],
])('run-local refuses %j', async (args, refusal) => {
  const { code, output } = await runLocal(...args).ended

  expect(code).toBe(1)
  expect(output).toMatch(refusal)
})
