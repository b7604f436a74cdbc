import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readModelEnvironment } from './model-environment.ts'

const environmentFiles = { conda: 'conda.yaml', virtualenv: 'python_env.yaml' }
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-environment-'))
})
afterEach(() => rm(directory, { recursive: true }))

async function read(files: Record<string, string>) {
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  const { requirements, buildRequirements, constraints, ...rest } = await readModelEnvironment(
    directory,
    { environmentFiles },
  )
  const lines = (list: { line: string }[]) => list.map(({ line }) => line)
  return {
    ...rest,
    build: lines(buildRequirements),
    requirements: lines(requirements),
    constraints: lines(constraints),
  }
}

const CONDA = `
channels: [conda-forge]
dependencies:
- python=3.8.18
- pip<=23
- setuptools=60.1
- libgomp
- pip:
  - mlflow==1.30.0
  - numpy
`

test('python_env.yaml says what is needed, with the files it refers to', async () => {
  const environment = await read({
    'python_env.yaml':
      'python: 3.11.7\nbuild_dependencies: [pip==24.0, wheel]\ndependencies: [-r requirements.txt]\n',
    'requirements.txt': '-c constraints.txt\nmlflow==3.17.2\nnumpy',
    'constraints.txt': 'numpy<2\n',
    'conda.yaml': CONDA,
  })

  expect(environment).toEqual({
    python: '3.11.7',
    build: ['pip==24.0', 'wheel'],
    requirements: ['mlflow==3.17.2', 'numpy'],
    constraints: ['numpy<2'],
    leftOut: [],
  })
})

test('without it conda.yaml does, and tells what only conda could install', async () => {
  expect(await read({ 'conda.yaml': CONDA })).toEqual({
    python: '3.8.18',
    build: ['pip<=23', 'setuptools==60.1'],
    requirements: ['mlflow==1.30.0', 'numpy'],
    constraints: [],
    leftOut: ['libgomp'],
  })
})

test('requirements.txt goes before the pip part of conda.yaml', async () => {
  const environment = await read({ 'conda.yaml': CONDA, 'requirements.txt': 'mlflow==1.29.0' })

  expect(environment.requirements).toEqual(['mlflow==1.29.0'])
})

test('a model without such files needs nothing', async () => {
  expect(await read({})).toMatchObject({ requirements: [], build: [] })
})

describe('refused is', () => {
  test.each([
    ['another command', { 'python_env.yaml': 'dependencies: ["x; touch CANARY"]' }],
    ['an index', { 'python_env.yaml': 'dependencies: ["--index-url http://evil.example"]' }],
    [
      'an option after a file',
      {
        'python_env.yaml': 'dependencies: ["-r requirements.txt --index-url http://evil.example"]',
        'requirements.txt': '',
      },
    ],
    ['a file elsewhere', { 'python_env.yaml': 'dependencies: ["-r ../requirements.txt"]' }],
    ['an option in a file', { 'conda.yaml': CONDA, 'requirements.txt': '-e .' }],
    ['an option of conda', { 'conda.yaml': 'dependencies: [{pip: ["-e ."]}]' }],
    ['a Python that is an option', { 'python_env.yaml': 'python: "--version"' }],
    ['a Python that YAML makes a number', { 'python_env.yaml': 'python: 3.10' }],
    ['a file that is missing', { 'python_env.yaml': 'dependencies: [-r requirements.txt]' }],
    ['a file that is a list', { 'python_env.yaml': '[1]' }],
  ])('%s', async (_what, files) => {
    await expect(read(files)).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' })
  })
})
