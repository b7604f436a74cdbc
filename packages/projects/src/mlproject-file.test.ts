import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readProject } from './mlproject-file.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-project-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function project(text: string, files: string[] = [], name = 'MLproject') {
  await writeFile(join(folder, name), text)
  for (const file of files) await writeFile(join(folder, file), '')
  return readProject(folder)
}

test.each(['MLproject', 'MLProject', 'mlproject', 'MLPROJECT'])('%s is found', async (name) => {
  expect((await project('name: found', [], name)).name).toBe('found')
})

test('a directory without the file is a project without entry points', async () => {
  const { entryPoints, environment } = await readProject(folder)

  expect({ entryPoints, environment }).toEqual({
    entryPoints: new Map(),
    environment: { kind: 'python' },
  })
})

// The right column is what PyYAML 6 and Python's `str` make of the left one.
test.each([
  ['0.10', '0.1'],
  ['1.0', '1.0'],
  ['1e-3', '1e-3'],
  ['1.0e-05', '1e-05'],
  ['1.5e+16', '1.5e+16'],
  ['1234567890123456.0', '1234567890123456.0'],
  ['-.5', '-.5'],
  ['.5', '0.5'],
  ['010', '8'],
  ['0x1F', '31'],
  ['1_000', '1000'],
  ['1:30', '90'],
  ['yes', 'True'],
  ['off', 'False'],
  ['"yes"', 'yes'],
  ['2020-01-01', '2020-01-01'],
  ['[a, 1, 0.10, null]', "['a', 1, 0.1, None]"],
  ['{a: b}', "{'a': 'b'}"],
  ['.inf', 'inf'],
  ['12345678901234567890', '12345678901234567890'],
])('the default %s is the text %s', async (yaml, text) => {
  const { entryPoints } = await project(
    `entry_points: {main: {parameters: {p: {type: float, default: ${yaml}}}, command: x}}`,
  )

  expect(entryPoints.get('main')?.parameters.get('p')).toEqual({ type: 'float', default: text })
})

test('a parameter may be a type alone, and then needs a value', async () => {
  const { entryPoints } = await project(
    'entry_points:\n  main:\n    parameters:\n      data: path\n      n: {default: null}\n    command: "x {data}"',
  )

  expect([...(entryPoints.get('main')?.parameters ?? [])]).toEqual([
    ['data', { type: 'path' }],
    ['n', { type: 'string' }],
  ])
})

describe('the environment', () => {
  test.each<[string, string[], object]>([
    ['python_env: env.yaml', ['env.yaml'], { kind: 'python', file: 'env.yaml' }],
    ['conda_env: env.yaml', ['env.yaml', 'python_env.yaml'], { kind: 'conda', file: 'env.yaml' }],
    ['name: x', ['conda.yaml'], { kind: 'conda', file: 'conda.yaml' }],
    ['name: x', ['conda.yaml', 'python_env.yaml'], { kind: 'python', file: 'python_env.yaml' }],
    ['name: x', [], { kind: 'python' }],
  ])('%s beside %j is %j', async (text, files, expected) => {
    const { environment } = await project(text, files)
    const shown =
      'file' in environment && environment.file
        ? { ...environment, file: environment.file.slice(folder.length + 1) }
        : environment

    expect(shown).toEqual(expected)
  })

  test('in docker names an image, volumes, and variables to set or to copy', async () => {
    const { environment } = await project(
      'docker_env: {image: i:1, volumes: ["/a:/b"], environment: [[A, 1], HOME]}',
    )

    expect(environment).toEqual({
      kind: 'docker',
      docker: {
        image: 'i:1',
        volumes: ['/a:/b'],
        variables: [{ name: 'A', value: '1' }, { name: 'HOME' }],
      },
    })
  })
})

test.each<[string, RegExp]>([
  [
    'python_env: a\nconda_env: b',
    /multiple environment fields: MLproject has python_env and conda/,
  ],
  ['python_env: none.yaml', /python_env file .*none\.yaml, but no such file was found/],
  ['python_env: ../x.yaml', /outside of the project/],
  ['docker_env: {volumes: []}', /no image attribute found/],
  ['docker_env: {image: i, volumes: x}', /volumes must be a list of strings/],
  ['docker_env: {image: i, environment: [[A]]}', /environment must be a list/],
  ['databricks_spark_job: {python_file: x.py}', /only Databricks can run/],
  ['- a', /must hold keys and values/],
  ['a: [', /MLproject is not YAML/],
  ['entry_points: {main: {parameters: {}}}', /Entry point 'main' of MLproject has no command/],
  ['entry_points: [main]', /entry_points of MLproject must be a mapping/],
])('%j is refused in a sentence', async (text, sentence) => {
  await expect(project(text)).rejects.toMatchObject({
    code: 'INVALID_PARAMETER_VALUE',
    message: expect.stringMatching(sentence),
  })
})
