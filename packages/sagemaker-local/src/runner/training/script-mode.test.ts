import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planScript, scriptArguments, scriptSettings, scriptSteps } from './script-mode.ts'

test('hyperparameters become arguments as the toolkit of SageMaker passes them', () => {
  const hyperParameters = {
    rate: '1.0',
    name: '"a b"',
    raw: 'plain text',
    n: '3',
    flag: 'true',
    layers: '[1, "two", null]',
    map: '{"k": 1, "l": "v"}',
    empty: 'null',
    sagemaker_program: '"train.py"',
    _tuning_objective_metric: '"loss"',
  }
  const { user, framework } = scriptSettings(hyperParameters)

  expect(scriptArguments(user, hyperParameters)).toEqual([
    ...['--empty', ''],
    ...['--flag', 'True'],
    ...['--layers', "[1, 'two', None]"],
    ...['--map', 'k=1,l=v'],
    ...['-n', '3'],
    ...['--name', 'a b'],
    ...['--rate', '1.0'],
    ...['--raw', 'plain text'],
  ])
  expect(framework).toEqual({ sagemaker_program: 'train.py', _tuning_objective_metric: 'loss' })
})

test.each([
  ['train.py', ['train.py'], [['python', 'train.py', '--a', '1']]],
  ['run.sh', ['run.sh', 'setup.py'], [['./run.sh', '--a', '1']]],
  ['pkg/run.py', ['pkg', 'setup.py'], [['python', '-m', 'pkg.run', '--a', '1']]],
])('%s beside %j is started as %j', async (entry, files, steps) => {
  const code = await mkdtemp(join(tmpdir(), 'millrace-code-'))
  for (const file of files) await writeFile(join(code, file), '')
  const plan = await planScript(code, entry)

  expect(scriptSteps(plan, 'python', ['--a', '1']).slice(-1)).toEqual(steps)
})

test('requirements that are more than packages are left to pip in the job', async () => {
  const code = await mkdtemp(join(tmpdir(), 'millrace-code-'))
  await writeFile(join(code, 'train.py'), '')
  await writeFile(join(code, 'requirements.txt'), 'numpy==1.26.0 # exact\n-e ./lib\n')

  expect(await planScript(code, 'train.py')).toMatchObject({ requirements: [], needsPip: true })

  await writeFile(join(code, 'requirements.txt'), 'numpy==1.26.0 # exact\n')
  expect(await planScript(code, 'train.py')).toMatchObject({
    requirements: [{ line: 'numpy==1.26.0' }],
    needsPip: false,
  })
})

test.each(['../train.py', '/etc/train.py', 'other.py'])(
  'the program %s is refused',
  async (entry) => {
    const code = await mkdtemp(join(tmpdir(), 'millrace-code-'))
    await writeFile(join(code, 'train.py'), '')
    await expect(planScript(code, entry)).rejects.toThrow(`The program '${entry}'`)
  },
)
