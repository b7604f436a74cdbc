import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { chooseParameters, entryCommand, entryPointOf, shellQuote } from './entry-command.ts'
import type { EntryPoint, Project } from './mlproject-file.ts'

const run = promisify(execFile)

function entryPoint(command: string, ...names: string[]): EntryPoint {
  const parameters = new Map(names.map((name) => [name, { type: 'string' }]))
  return { name: 'main', command, parameters }
}

function commandOf(template: string, given: Record<string, string>, extra = {}) {
  const point = entryPoint(template, ...Object.keys(given))
  const values = chooseParameters(point, new Map(Object.entries({ ...given, ...extra })))
  return entryCommand(point, values)
}

describe('a command that needs no shell', () => {
  test.each<[string, Record<string, string>, string[]]>([
    ['python train.py {alpha} {l1}', { alpha: '0.5', l1: '0.1' }, ['0.5', '0.1']],
    ['python train.py --a={alpha}x', { alpha: 'b c' }, ['--a=b cx']],
    ['python train.py "{alpha}" \'{alpha}\'', { alpha: 'b c' }, ['b c', 'b c']],
    ['python train.py \\\n  --a {alpha}\n', { alpha: '' }, ['--a', '']],
    ["python train.py 'it'\\''s' \"a \\\" b\\c\" x\\ y", {}, ["it's", 'a " b\\c', 'x y']],
    ['python train.py a#b a=b "$" x~', {}, []],
  ])('%s', (template, given, args) => {
    const { argv } = commandOf(template, given)

    if (template.includes('$')) expect(argv[0]).toBe('bash')
    else expect(argv).toEqual(['python', 'train.py', ...args])
  })

  test('gets undeclared parameters after its words, a name and a value each', () => {
    const { argv } = commandOf('python train.py {a}', { a: '1' }, { 'x y': '$(b)', c: '' })

    expect(argv).toEqual(['python', 'train.py', '1', '--x y', '$(b)', '--c', ''])
  })
})

const HOSTILE = [
  '$(touch CANARY)',
  '`touch CANARY`',
  '; touch CANARY',
  "'; touch CANARY; '",
  '"; touch CANARY; "',
  '\ntouch CANARY\n',
  '&& touch CANARY',
  '| touch CANARY',
  '> CANARY',
  '\\',
  '--upload-pack=touch CANARY',
  'a[$(touch CANARY)]',
  '*',
  '~',
  '${PATH}',
  '',
  '# comment',
  "\\'; touch CANARY #",
]

/** Templates that print the parameter alone on the standard output, NUL at its end. */
const PRINTING = [
  'printf %s\\\\0 {p}',
  'printf %s\\\\0 "{p}"',
  "printf %s\\\\0 '{p}'",
  "true && printf '%s\\0' {p}",
  'cd . ; printf \'%s\\0\' "{p}"',
  "true; printf '%s\\0' '{p}'",
  'X={p}; printf "%s\\0" "$X"',
  'export X={p} && printf "%s\\0" "$X"',
  'printf "%s\\0" "$(printf %s. {p})" | sed "s/[.]\\x00/\\x00/"',
  "if true; then printf '%s\\0' {p}; fi # {p}",
  'for x in {p}; do printf "%s\\0" "$x"; done',
  'cat <<< {p} | head -c -1 && printf "\\0"',
]

describe('no value is read by a shell', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-command-'))
    await writeFile(join(folder, 'a file'), '')
  })
  afterEach(() => rm(folder, { recursive: true }))

  test.each(PRINTING)('%s', async (template) => {
    for (const value of HOSTILE) {
      const { argv, variables } = commandOf(template, { p: value })
      const [program, ...args] = argv
      const { stdout } = await run(program, args, {
        cwd: folder,
        env: { ...process.env, ...variables },
      })
      expect(stdout).toBe(`${value}\0`)
    }
    expect(await readdir(folder)).toEqual(['a file'])
  })

  test('nor is an undeclared parameter, neither its name nor its value', async () => {
    const extra = { '; touch CANARY': '$(touch CANARY)' }
    const { argv, variables } = commandOf("true && printf '%s,'", {}, extra)
    const [program, ...args] = argv
    const env = { ...process.env, ...variables }
    const { stdout } = await run(program, args, { cwd: folder, env })

    expect(stdout).toBe('--; touch CANARY,$(touch CANARY),')
    expect(await readdir(folder)).toEqual(['a file'])
  })

  test.each([
    'bash -c "python {p}"',
    "sh -c 'x {p}'",
    'env A=1 /bin/bash -e -o pipefail -c {p}',
    'nice -n 5 sh -ec {p}',
    'true && eval echo {p}',
    'eval $(true) {p}',
    'true; unset {p}',
    'true; declare X={p}',
    'true; export {p}',
    'true; [ -v {p} ]',
    'true; [ {p} {p} ]',
    'true; printf -v {p} x',
    '[[ {p} -eq 1 ]] && true',
    'echo $(( {p} ))',
    'echo $((1 + {p}))',
    '(( {p} )) && true',
    'echo `echo {p}`',
    'echo ${{X:-{p}}}',
    'echo ${p}',
    'echo "${p}"',
    'echo \\{p}',
    "echo $'{p}'",
    'cat <<E\n{p}\nE',
  ])('%s is refused, because a shell would run the value', (template) => {
    expect(() => commandOf(template, { p: 'x' })).toThrow(/^The command of entry point 'main' has/)
  })

  test.each(['echo "a', "echo 'a", 'echo {', 'echo }', 'echo {p', 'echo {q}', 'echo {p.x}'])(
    '%s is refused as no command',
    (template) => {
      expect(() => commandOf(template, { p: 'x' })).toThrow(/^The command of entry point 'main'/)
    },
  )
})

test('text that is quoted reads back as itself, in the way of MLflow', () => {
  expect(['0.5', '', 'a b', "it's", 's3://b/k'].map(shellQuote)).toEqual([
    '0.5',
    "''",
    "'a b'",
    `'it'"'"'s'`,
    's3://b/k',
  ])
})

describe('the entry point', () => {
  const project = (directory: string): Project => ({
    directory,
    entryPoints: new Map([['main', entryPoint('x')]]),
    environment: { kind: 'python' },
  })

  test('may be a Python file of the project, whose name is one argument', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-command-'))
    await writeFile(join(folder, 'a {b}; c.py'), '')
    const point = entryPointOf(project(folder), 'a {b}; c.py', 'bash')

    const { argv } = entryCommand(point, chooseParameters(point, new Map([['p', '1']])))

    expect(argv).toEqual(['python', 'a {b}; c.py', '--p', '1'])
    await rm(folder, { recursive: true })
  })

  test('that nobody knows is refused with those there are', () => {
    expect(() => entryPointOf(project('/'), 'train', 'bash')).toThrow(
      /Could not find train among entry points \['main'\]/,
    )
    expect(() => entryPointOf(project('/'), 'none.py', 'bash')).toThrow(/Could not find none\.py/)
  })

  test('lacking values is refused with all their names', () => {
    const point = entryPoint('x', 'a', 'b', 'c')

    expect(() => chooseParameters(point, new Map([['b', '1']]))).toThrow(
      "No value given for missing parameters: 'a', 'c'",
    )
  })
})
