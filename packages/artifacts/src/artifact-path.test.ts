import { resolve } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  findArtifactPath,
  formatArtifactPath,
  isArtifactName,
  joinArtifactPaths,
  parseArtifactPath,
} from './artifact-path.ts'

const refusal = { code: 'INVALID_PARAMETER_VALUE', message: 'Invalid path' }

describe('parseArtifactPath', () => {
  test.each<[string, string[]]>([
    ['', []],
    ['.', []],
    ['model/MLmodel', ['model', 'MLmodel']],
    ['model/', ['model']],
    ['./a//b/./c', ['a', 'b', 'c']],
    ['a b/c+d', ['a b', 'c+d']],
    ['100%.txt', ['100%.txt']],
    ['a%20b', ['a%20b']],
    ['a%2520b', ['a%2520b']],
    ['a%2fb', ['a%2fb']],
    ['%', ['%']],
    ['%zz', ['%zz']],
    ['...', ['...']],
    ['..a/b..', ['..a', 'b..']],
    ['a?b;c=d', ['a?b;c=d']],
    ['~/x', ['~', 'x']],
    ['$HOME/${x}', ['$HOME', '${x}']],
    [' ', [' ']],
    ['日本語/é/e\u0301', ['日本語', 'é', 'e\u0301']],
    ['😀', ['😀']],
    ['tensor:0', ['tensor:0']],
    ['x'.repeat(255), ['x'.repeat(255)]],
  ])('takes %j exactly as given', (text, segments) => {
    expect(parseArtifactPath(text)).toEqual(segments)
  })

  const traversals = ['..', '../x', 'a/..', 'a/../b', 'a/./../..', '../../etc/passwd']
  const backslashes = ['..\\x', 'a\\b', '\\x', '\\\\host\\share', 'C:\\x']
  const absolutes = ['/x', '//x', '/', 'C:x', 'c:', 'C:/x', 'a/C:/x']
  const schemes = ['file:x', 'file:///etc/passwd', 'FILE:/x', 'a/file:b']
  const characters = ['a\0b', 'a\nb', '\x7f', '\x85', 'a#b', '#uploads']
  const raw = [...traversals, ...backslashes, ...absolutes, ...schemes, ...characters]

  test.each(raw)('refuses %j', (text) => {
    expect(() => parseArtifactPath(text)).toThrow(expect.objectContaining(refusal))
  })

  test.each(raw.flatMap((text) => [encoded(text), encoded(encoded(text))]))(
    'refuses the encoded form %j',
    (text) => {
      expect(() => parseArtifactPath(text)).toThrow(expect.objectContaining(refusal))
    },
  )

  test.each([
    ['a dot segment only when encoded', 'a/%2e/b'],
    ['an overlong dot', '%c0%ae%c0%ae/x'],
    ['an overlong slash', 'a%c0%afb'],
    ['bytes that are not UTF-8', 'a%ffb'],
    ['an encoded surrogate', '%ed%a0%80'],
    ['a lone surrogate', 'a\ud800b'],
    ['what is not stable after ten rounds', `%${'25'.repeat(11)}41`],
    ['a segment longer than a file name', 'é'.repeat(128)],
    ['a path longer than any file system takes', 'abc/'.repeat(1025)],
  ])('refuses %s', (_what, text) => {
    expect(() => parseArtifactPath(text)).toThrow(expect.objectContaining(refusal))
  })

  test('takes what is stable after nine rounds', () => {
    expect(parseArtifactPath(`%${'25'.repeat(8)}41`)).toEqual([`%${'25'.repeat(8)}41`])
  })
})

test('no accepted path, nor any decoding of it, resolves outside the root', () => {
  const part = fc.constantFrom(
    '..',
    '.',
    '/',
    '\\',
    '%2e',
    '%2f',
    '%25',
    '%5c',
    'a',
    ':',
    '%',
    '2e',
  )
  const text = fc.oneof(
    fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
    fc.string(),
  )
  fc.assert(
    fc.property(text, (text) => {
      const path = findArtifactPath(text)
      fc.pre(path !== undefined)
      for (const form of [formatArtifactPath(path), decoded(path, 1), decoded(path, 5)]) {
        expect(`${resolve('/root', form)}/`).toMatch(/^\/root\//)
      }
    }),
    { numRuns: 5000 },
  )
})

test('an accepted path is given back by parsing what it is formatted as', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const path = findArtifactPath(text)
      fc.pre(path !== undefined)
      expect(parseArtifactPath(formatArtifactPath(path))).toEqual(path)
    }),
  )
})

test('joined paths are what parsing the joined text gives', () => {
  const joined = joinArtifactPaths(parseArtifactPath('a/b'), parseArtifactPath('c'))

  expect(joined).toEqual(parseArtifactPath('a/b/c'))
})

test.each([
  ['a b', true],
  ['a%20b', true],
  ['', false],
  ['.', false],
  ['a/b', false],
  ['a/', false],
  ['a\\b', false],
  ['#uploads', false],
])('the name %j has a path: %s', (name, isName) => {
  expect(isArtifactName(name)).toBe(isName)
})

function encoded(text: string) {
  const hex = (byte: number) => `%${byte.toString(16).padStart(2, '0')}`
  return [...Buffer.from(text)].map(hex).join('')
}

function decoded(path: readonly string[], rounds: number): string {
  let text = path.join('/')
  for (let round = 0; round < rounds; round++) {
    text = text.replace(/%([0-7][0-9a-f])/gi, (_, hex) => String.fromCharCode(Number(`0x${hex}`)))
  }
  return text
}
