import { expect, test } from 'vitest'
import { codeLines, commentLines, importsOf } from './source-files.ts'

const file = {
  path: 'a.ts',
  text: [
    "import { a } from './a.ts'",
    'import {',
    '  b,',
    "} from '@x/b/c'",
    "export { d } from './d.ts'",
    "import './e.css'",
    "const url = 'http://host' // why",
    '/** One',
    ' * two */',
    "const lazy = await import('./f.ts')",
    'const text = `// not a comment',
    'nor this` + run()',
  ].join('\n'),
}

test('imports are found over several lines, from exports, bare and lazy', () => {
  expect(importsOf(file)).toEqual([
    { specifier: './a.ts', isLazy: false },
    { specifier: '@x/b/c', isLazy: false },
    { specifier: './d.ts', isLazy: false },
    { specifier: './e.css', isLazy: false },
    { specifier: './f.ts', isLazy: true },
  ])
})

test('comments are told from strings that look like them, with their lines', () => {
  expect(commentLines(file)).toEqual([
    { number: 7, text: '// why' },
    { number: 8, text: '/** One' },
    { number: 9, text: ' * two */' },
  ])
})

test('code has neither comments nor the contents of strings, on its own lines', () => {
  const lines = codeLines(file)
  expect(lines[6]).toEqual({ number: 7, text: "const url = '' " })
  expect(lines[11]).toEqual({ number: 12, text: ' + run()' })
})
