import { describe, expect, test } from 'vitest'
import { parseRequirement, requirementLines } from './requirement.ts'

describe('a requirement is', () => {
  test.each([
    ['mlflow', 'mlflow', 'mlflow'],
    ['mlflow==3.17.2', 'mlflow', 'mlflow==3.17.2'],
    ['Scikit_Learn >= 1.0, <2', 'scikit-learn', 'Scikit_Learn>=1.0,<2'],
    ['torch==2.0.1+cu118', 'torch', 'torch==2.0.1+cu118'],
    ['numpy (>=1.2)', 'numpy', 'numpy>=1.2'],
    ['pandas==2.*', 'pandas', 'pandas==2.*'],
    ['ray[default, serve]~=2.1', 'ray', 'ray[default,serve]~=2.1'],
    ['x ; python_version<"3.9"', 'x', 'x; python_version < "3.9"'],
    [
      "x>1; (sys_platform == 'linux' or os_name not in 'a b') and extra == 'y'",
      'x',
      "x>1; ( sys_platform == 'linux' or os_name not in 'a b' ) and extra == 'y'",
    ],
  ])('%s', (line, name, written) => {
    expect(parseRequirement(line)).toEqual({ name, line: written })
  })
})

describe('refused is', () => {
  test.each([
    ['another command', 'x; touch CANARY'],
    ['a substitution', 'x$(touch CANARY)'],
    ['a substitution in a marker', 'x; os_name == "$(touch CANARY)"'],
    ['back-ticks', 'x`id`'],
    ['an index', '--index-url http://evil.example/simple'],
    ['an extra index', '--extra-index-url=http://evil.example'],
    ['an editable directory', '-e .'],
    ['another file', '-r /etc/passwd'],
    ['a URL', 'https://evil.example/x.whl'],
    ['a named URL', 'x @ https://evil.example/x.whl'],
    ['a repository', 'git+https://evil.example/x'],
    ['a path', './x.whl'],
    ['an absolute path', '/tmp/x.whl'],
    ['an option after a package', 'x --hash=sha256:00'],
    ['an option in place of a version', 'x==--pre'],
    ['two packages', 'x y'],
    ['a second line', 'x\n--index-url http://evil.example'],
    ['a second line in a marker', 'x; os_name == "a\n--pre"'],
    ['an unknown variable', 'x; home == "a"'],
    ['half of a marker', 'x; os_name =='],
    ['an open bracket', 'x; (os_name == "a"'],
    ['a deep marker', `x; ${'('.repeat(5_000)}os_name == "a"${')'.repeat(5_000)}`],
    ['no name', '>=1'],
    ['nothing', ''],
    ['an operator without a version', 'x>='],
    ['a variable of the environment', `$${'{HOME}'}`],
  ])('%s', (_what, line) => {
    expect(() => parseRequirement(line)).toThrow(/is not accepted/)
  })
})

test('lines lose comments and blanks and are joined at a backslash', () => {
  const text = '# all\nmlflow==3.17.2  # ours\r\n\n  numpy \\\n  >=1\nx#y\n'

  expect(requirementLines(text)).toEqual(['mlflow==3.17.2', 'numpy    >=1', 'x#y'])
})
