import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join, posix } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './setup/step.mjs'
import {
  importsOf,
  isTest,
  isTypeScript,
  packageOf,
  type SourceFile,
  sourceFiles,
} from './source-files.ts'

/** Which of our packages a package may import; a package that is not here imports none. */
const EDGES: Record<string, string[]> = {
  api: [],
  client: ['api'],
  artifacts: ['api'],
  models: ['api', 'artifacts', 'client'],
  server: ['api', 'artifacts'],
  ui: ['api', 'client'],
  projects: ['api', 'artifacts', 'client', 'models', 'scoring'],
  scoring: ['api', 'models'],
  sagemaker: ['api', 'client', 'models', 'projects'],
  'sagemaker-local': ['api', 'models', 'scoring'],
  cli: [
    'api',
    'artifacts',
    'client',
    'models',
    'projects',
    'sagemaker',
    'sagemaker-local',
    'scoring',
    'server',
  ],
}

/** What only the tests of a package may import besides. */
const TEST_EDGES: Record<string, string[]> = { server: ['client'] }

/** Parts of the server that know nothing of HTTP, and of one another only the SQL and these files. */
const AREAS = ['tracking', 'registry', 'auth', 'artifacts', 'search', 'metrics', 'db', 'upkeep']
const OPEN_AREAS = ['search', 'metrics', 'db', 'auth']
const OPEN_FILES = [
  'artifacts/artifact-root.ts',
  'artifacts/list-directory.ts',
  'tracking/limits.ts',
]

const files = sourceFiles().filter((file) => isTypeScript(file) && packageOf(file) !== undefined)
const sources = files.filter(({ path }) => /^packages\/[^/]+\/src\//.test(path))

test('a package imports only the packages of ours that it may know', () => {
  const wrong = files.flatMap((file) => {
    const from = packageOf(file) ?? ''
    const allowed = [
      from,
      ...(EDGES[from] ?? []),
      ...(isTest(file) ? (TEST_EDGES[from] ?? []) : []),
    ]
    return ours(file)
      .filter((to) => !allowed.includes(to))
      .map((to) => `${file.path} imports ${to}`)
  })
  expect(wrong).toEqual([])
})

test('a package declares only the packages of ours that it may know', () => {
  const wrong = packageNames().flatMap((from) => {
    const { dependencies, devDependencies } = manifest(from)
    const undue = (names: string[], allowed: string[]) =>
      names.filter((name) => isOurs(name) && !allowed.includes(nameOf(name)))
    const edges = EDGES[from] ?? []
    return [
      ...undue(dependencies, edges),
      ...undue(devDependencies, [...edges, ...(TEST_EDGES[from] ?? [])]),
    ].map((name) => `${from} declares ${name}`)
  })
  expect(wrong).toEqual([])
})

test('a package declares everything that it imports', () => {
  const shared = manifestAt('package.json').devDependencies
  const wrong = files.flatMap((file) => {
    const { dependencies, devDependencies, name } = manifest(packageOf(file) ?? '')
    const declared = [
      name,
      ...dependencies,
      ...(isBuild(file) ? [...devDependencies, ...shared] : []),
    ]
    return importsOf(file)
      .map(({ specifier }) => specifier)
      .filter((specifier) => !/^(\.|node:)/.test(specifier))
      .map(moduleOf)
      .filter((module) => !declared.includes(module) && !declared.includes(`@types/${module}`))
      .map((module) => `${file.path} imports ${module}`)
  })
  expect(wrong).toEqual([])
})

test('built-in modules are imported with their prefix', () => {
  const bare = files.flatMap((file) =>
    importsOf(file)
      .filter(({ specifier }) => builtinModules.includes(specifier) && !specifier.includes(':'))
      .map(({ specifier }) => `${file.path} imports ${specifier}`),
  )
  expect(bare).toEqual([])
})

test('a relative import stays inside its package', () => {
  const leaving = sources.flatMap((file) => {
    const home = `packages/${packageOf(file)}/`
    return relativeImports(file)
      .filter((target) => !target.startsWith(home))
      .map((target) => `${file.path} imports ${target}`)
  })
  expect(leaving.filter((line) => !line.includes('.test.ts'))).toEqual([])
})

test('the areas of the server do not know HTTP', () => {
  const wrong = areaFiles().flatMap(({ file }) =>
    relativeImports(file)
      .filter((target) => target.startsWith('packages/server/src/http/'))
      .map((target) => `${file.path} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('an area of the server reaches another one through its store functions', () => {
  const wrong = areaFiles().flatMap(({ file, area }) =>
    relativeImports(file)
      .map((target) => target.replace('packages/server/src/', ''))
      .filter((target) => {
        const other = target.split('/')[0] ?? ''
        if (!AREAS.includes(other) || other === area || OPEN_AREAS.includes(other)) return false
        return !target.endsWith('-store.ts') && !OPEN_FILES.includes(target)
      })
      .map((target) => `${file.path} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('the command line loads the servers only when a command needs them', () => {
  const eager = sources
    .filter((file) => packageOf(file) === 'cli' && !isTest(file))
    .flatMap((file) =>
      importsOf(file)
        .filter(
          ({ specifier, isLazy }) => !isLazy && /^@millrace\/[^/]+\/(serve|app)$/.test(specifier),
        )
        .map(({ specifier }) => `${file.path} imports ${specifier}`),
    )
  expect(eager).toEqual([])
})

function areaFiles(): { file: SourceFile; area: string }[] {
  return sources
    .filter((file) => packageOf(file) === 'server' && !isTest(file))
    .map((file) => ({ file, area: file.path.split('/')[3] ?? '' }))
    .filter(({ area }) => AREAS.includes(area))
}

function ours(file: SourceFile): string[] {
  return importsOf(file)
    .map(({ specifier }) => moduleOf(specifier))
    .filter(isOurs)
    .map(nameOf)
}

function isOurs(module: string): boolean {
  return module === 'millrace' || module.startsWith('@millrace/')
}

function nameOf(module: string): string {
  return module === 'millrace' ? 'cli' : module.replace('@millrace/', '')
}

/** The package of a specifier: `@a/b` of `@a/b/c`. */
function moduleOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Tests and build settings run here only and may use what is declared for development. */
function isBuild(file: SourceFile): boolean {
  return isTest(file) || file.path.endsWith('.config.ts') || packageOf(file) === 'ui'
}

function relativeImports(file: SourceFile): string[] {
  return importsOf(file)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier }) => posix.join(posix.dirname(file.path), specifier))
}

function packageNames(): string[] {
  return [...new Set(files.map((file) => packageOf(file) ?? ''))]
}

function manifest(name: string) {
  return manifestAt(join('packages', name, 'package.json'))
}

function manifestAt(path: string) {
  const parsed = JSON.parse(readFileSync(join(root, path), 'utf8')) as {
    name: string
    dependencies?: Record<string, string>
    optionalDependencies?: Record<string, string>
    devDependencies?: Record<string, string>
  }
  return {
    name: parsed.name,
    dependencies: Object.keys({ ...parsed.dependencies, ...parsed.optionalDependencies }),
    devDependencies: Object.keys(parsed.devDependencies ?? {}),
  }
}
