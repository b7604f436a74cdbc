import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { root } from './setup/step.mjs'

/** One file of the repository: tracked, or new and not ignored. */
export interface SourceFile {
  /** As seen from the root, with forward slashes. */
  path: string
  text: string
}

/** One line of a file, as a rule reports it. */
export interface Line {
  number: number
  text: string
}

const BINARY = /\.(png|ico|woff2?|onnx|gz|zip|bin)$/

/** Every text file of the repository that still exists, in the order of their paths. */
export function sourceFiles(): SourceFile[] {
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  return [...new Set(listed.split('\0'))]
    .filter((path) => path !== '' && !BINARY.test(path) && existsSync(join(root, path)))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

export function isTypeScript({ path }: SourceFile): boolean {
  return /\.tsx?$/.test(path)
}

/** Tests, what they are built from, and everything that runs in development only. */
export function isTest({ path }: SourceFile): boolean {
  return (
    /\.test\.tsx?$|\/(arbitrary|test)-[^/]+\.ts$/.test(path) ||
    /^(tests|bench|tools)\/|\/test\//.test(path)
  )
}

/** The package that a file belongs to, by its folder; undefined outside of packages. */
export function packageOf({ path }: SourceFile): string | undefined {
  return /^packages\/([^/]+)\//.exec(path)?.[1]
}

/** The name of a file without what tells its kind: `run-page` of `run-page.test.tsx`. */
export function stemOf({ path }: SourceFile): string {
  return basename(path).replace(/\.(test\.|d\.)?\w+$/, '')
}

/** `path:line` of every line of the files that the pattern matches. */
export function linesMatching(
  files: SourceFile[],
  pattern: RegExp,
  linesOf: (file: SourceFile) => Line[] = allLines,
): string[] {
  return files.flatMap((file) =>
    linesOf(file)
      .filter(({ text }) => pattern.test(text))
      .map(({ number, text }) => `${file.path}:${number} ${text.trim().slice(0, 100)}`),
  )
}

export function allLines({ text }: SourceFile): Line[] {
  return text.split('\n').map((line, index) => ({ number: index + 1, text: line }))
}

/** Lines of code with comments and the contents of strings taken out. */
export function codeLines(file: SourceFile): Line[] {
  return split(file).code
}

/** The text of all comments, line by line. */
export function commentLines(file: SourceFile): Line[] {
  return file.path.endsWith('.py') ? pythonComments(file) : split(file).comments
}

/** What a module imports, with `isLazy` for `import()`. */
export function importsOf({ text }: SourceFile): { specifier: string; isLazy: boolean }[] {
  const statement = /^(?:import|export)\b[^'"`;]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm
  const lazy = /\bimport\(\s*'([^']+)'/g
  return [
    ...[...text.matchAll(statement)].map((match) => ({
      specifier: match[1] ?? match[2] ?? '',
      isLazy: false,
    })),
    ...[...text.matchAll(lazy)].map((match) => ({ specifier: match[1] ?? '', isLazy: true })),
  ]
}

// Not a parser: a regular expression with a quote in it can end a string too early, on its own line.
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g

function split(file: SourceFile): { code: Line[]; comments: Line[] } {
  const comments: Line[] = []
  const code = file.text.replace(TOKEN, (token, offset: number) => {
    const isComment = token.startsWith('//') || token.startsWith('/*')
    if (isComment) {
      const first = file.text.slice(0, offset).split('\n').length
      comments.push(...token.split('\n').map((text, index) => ({ number: first + index, text })))
    }
    const blank = token.replace(/[^\n]/g, '')
    return isComment ? blank : `''${blank}`
  })
  return { code: allLines({ path: file.path, text: code }), comments }
}

function pythonComments(file: SourceFile): Line[] {
  return allLines(file).filter(({ text }) => /^\s*#|^\s*"""/.test(text))
}
