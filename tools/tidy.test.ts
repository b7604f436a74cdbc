import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from './setup/step.mjs'
import {
  allLines,
  codeLines,
  commentLines,
  isTest,
  isTypeScript,
  linesMatching,
  packageOf,
  type SourceFile,
  sourceFiles,
  stemOf,
} from './source-files.ts'

const files = sourceFiles()
const code = files.filter(({ path }) => /\.(tsx?|mjs|cjs|mts|py|css)$/.test(path))
const typescript = files.filter(isTypeScript)
const shipped = typescript
  .filter(({ path }) => /^packages\/[^/]+\/src\//.test(path))
  .filter((file) => !isTest(file))
const documents = files.filter(({ path }) => path.endsWith('.md'))

// The rules themselves have to spell what they forbid.
const notTheRules = (file: SourceFile) => !file.path.startsWith('tools/tidy')

/** Files that are longer than the rest may be, each with its reason. */
const LONG_FILES: Record<string, string> = {}

describe('sizes', () => {
  test('a file has at most 400 lines, a test at most 600', () => {
    const long = code
      .filter(({ path }) => !(path in LONG_FILES))
      .map((file) => ({ path: file.path, lines: allLines(file).length, isTest: isTest(file) }))
      .filter(({ lines, isTest }) => lines > (isTest ? 601 : 401))
    expect(long).toEqual([])
  })

  test('the root has at most twelve scripts', () => {
    expect(Object.keys(rootPackage().scripts).length).toBeLessThanOrEqual(12)
  })
})

describe('names', () => {
  test('a file is named in kebab-case, a React component after itself, Python in its own way', () => {
    const odd = code.filter((file) => {
      if (file.path.endsWith('.py')) return !/^[a-z][a-z0-9_]*$/.test(stemOf(file))
      const isKebab = /^[a-z0-9]+([-.][a-z0-9]+)*$/.test(stemOf(file))
      const isComponent = file.path.endsWith('.tsx') && /^[A-Z][A-Za-z0-9]+$/.test(stemOf(file))
      return !isKebab && !isComponent
    })
    expect(odd.map(({ path }) => path)).toEqual([])
  })

  test('a file name says where a thing is: no utils, helpers, common, types, constants, misc, index', () => {
    const vague = /^(utils?|helpers?|common|types?|constants?|misc|index|shared|core)$/
    const found = typescript.filter((file) => packageOf(file) && vague.test(stemOf(file)))
    expect(found.map(({ path }) => path)).toEqual([])
  })

  test('a file name occurs once in a package, so that it is enough to open the file', () => {
    const seen = new Map<string, string>()
    const twice = typescript
      .filter((file) => /^packages\/[^/]+\/src\//.test(file.path))
      .flatMap((file) => {
        const name = `${packageOf(file)} ${file.path.slice(file.path.lastIndexOf('/') + 1)}`
        const first = seen.get(name)
        seen.set(name, file.path)
        return first ? [`${first} and ${file.path}`] : []
      })
    expect(twice).toEqual([])
  })

  test('functions and classes are named by what they do, not by handling, processing or managing', () => {
    const vague =
      /\bfunction (handle|process|perform|execute|manage)[A-Z]|\bclass \w*(Manager|Helper|Util|Service|Impl|V2)\b|\binterface I[A-Z][a-z]/
    const outsideUi = shipped.filter((file) => packageOf(file) !== 'ui')
    expect(linesMatching(outsideUi, vague, codeLines)).toEqual([])
  })

  test('programs are TypeScript: there are no shell scripts but the one that CI starts', () => {
    const shell = files.filter(
      ({ path, text }) => /\.(sh|bash)$/.test(path) || /^#!.*\bsh\b/.test(text),
    )
    expect(shell.map(({ path }) => path).filter((path) => path !== '.ci/run')).toEqual([])
  })
})

describe('comments', () => {
  const banned: [reason: string, pattern: RegExp][] = [
    ['work left open', /\bTODO(?!\(#\d+\))|\bFIXME\b|\bXXX\b|\bHACK\b/],
    [
      'a stub',
      /in production you would|in a real (app|implementation)|simplified (version|for)|\bstub\b/i,
    ],
    [
      'history, which the commit tells',
      /\bpreviously (used|was|were|did|had)\b|\bused to (be|do|have)\b|\bno longer (use|need|necessary|required|supported)|\brefactored\b|\bnow uses?\b|\b(was|were) (moved|renamed|removed) (from|to)\b/i,
    ],
    ['an appeal to the reader', /\bnote that\b|\bimportantly\b|\bplease note\b|\bas requested\b/i],
    ['a banner', /[-=*#~]{6,}/],
    ['an emoji', /[\u{1F300}-\u{1FAFF}\u{2705}\u{274C}\u{26A0}]/u],
  ]

  test.each(banned)('a comment is not %s', (_reason, pattern) => {
    expect(linesMatching(code.filter(notTheRules), pattern, commentLines)).toEqual([])
  })
})

describe('boundaries', () => {
  const only = (pattern: RegExp, allowed: RegExp, among = shipped) =>
    linesMatching(
      among.filter(({ path }) => !allowed.test(path)),
      pattern,
    )

  test('the HTTP framework is visible in one folder of the server, and where protocols are mounted', () => {
    const allowed =
      /^packages\/(server\/src\/(http\/|app\.ts)|scoring\/src\/scoring-app\.ts|sagemaker-local\/src\/(http|s3|registry)\/)/
    expect(only(/from '(fastify|@fastify\/[^']+)'/, allowed)).toEqual([])
  })

  test('React is used by the pages alone', () => {
    expect(only(/from 'react(-dom)?(\/[^']+)?'/, /^packages\/ui\//)).toEqual([])
  })

  test('the environment is read where a program starts and where its settings are described', () => {
    expect(only(/\bprocess\.env\b/, /^packages\/(cli\/src\/|[^/]+\/src\/config\.ts)/)).toEqual([])
  })

  test('only these packages start processes', () => {
    const allowed = /^packages\/(cli|scoring|projects|sagemaker-local)\//
    expect(only(/from '(node:)?child_process'/, allowed)).toEqual([])
  })

  test('nothing is run through a shell', () => {
    const shell = /\bshell:\s*true|(?<![.\w])(exec|execSync)\(/
    const programs = code.filter(({ path }) => /\.(tsx?|mjs|cjs)$/.test(path))
    expect(linesMatching(programs, shell, codeLines)).toEqual([])
  })
})

describe('tests', () => {
  const tests = typescript.filter(({ path }) => path.includes('.test.'))

  test('no module of ours is mocked', () => {
    expect(linesMatching(tests.filter(notTheRules), /\bvi\.(mock|doMock)\(/)).toEqual([])
  })

  test('no test is left out without a reason', () => {
    const left = /\b(test|it|describe)\.(only|skip|todo)\b|\.skip\(\)|\b(xit|xdescribe|fit)\(/
    expect(linesMatching(tests, left, codeLines)).toEqual([])
  })

  test("a test's name is the guarantee it gives", () => {
    const empty = /\b(test|it)(\.each\(.*\))?\(\s*['"`](should |works\b|handles edge)/
    expect(linesMatching(tests.filter(notTheRules), empty)).toEqual([])
  })
})

describe('documents', () => {
  test('every npm script that a document names exists', () => {
    const scripts = Object.keys(rootPackage().scripts)
    const missing = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/npm run ([\w:-]+)/g)]
        .filter(([, name]) => name !== undefined && !scripts.includes(name))
        .map(([command]) => `${path}: ${command}`),
    )
    expect(missing).toEqual([])
  })

  test('every relative link leads to a file', () => {
    const broken = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
        .filter(([, link]) => link && !existsSync(join(root, dirname(path), decodeURI(link))))
        .map(([, link]) => `${path}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  test('every path of the repository that the main documents name exists', () => {
    const main = documents.filter(({ path }) => !path.includes('/'))
    const missing = main.flatMap(({ path, text }) =>
      [...text.matchAll(/`((?:packages|tools|tests|docs|bench|examples|python)\/[\w./-]+)`/g)]
        .filter(
          ([, named]) =>
            named &&
            !files.some(({ path }) => path.startsWith(named)) &&
            !existsSync(join(root, named)),
        )
        .map(([, named]) => `${path}: ${named}`),
    )
    expect(missing).toEqual([])
  })

  test('documents are the three main ones, docs/, and a README where a folder needs one', () => {
    const expected = /^(README|ARCHITECTURE|CONTRIBUTING)\.md$|^docs\/|\/README\.md$/
    expect(documents.map(({ path }) => path).filter((path) => !expected.test(path))).toEqual([])
  })
})

describe('places', () => {
  const anywhere = files.filter(notTheRules)

  test('no file names a path of the machine it was written on', () => {
    expect(linesMatching(anywhere, /(^|[\s"'`(=:])\/(work|root)\/|\/home\/\w+\//)).toEqual([])
  })

  test("no file names a package registry's host", () => {
    const hosts =
      /registry\.npmjs|\bpypi\.(org|python)|pythonhosted\.org|static\.crates\.io|proxy\.golang\.org|repo1?\.maven|deb\.debian\.org/
    expect(linesMatching(anywhere, hosts)).toEqual([])
  })
})

test('no dependency of a published package runs a script when it is installed', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { hasInstallScript?: boolean; dev?: boolean; optional?: boolean }>
  }
  const scripted = Object.entries(packages)
    .filter(([, { hasInstallScript, dev, optional }]) => hasInstallScript && !dev && !optional)
    .map(([path]) => path)
  expect(scripted).toEqual([])
})

function rootPackage() {
  const text = readFileSync(join(root, 'package.json'), 'utf8')
  return JSON.parse(text) as { scripts: Record<string, string> }
}
