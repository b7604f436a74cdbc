import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../tools/setup/step.mjs'
import { readBlocks, runGuide } from './guide-page.ts'

const FOLDER = join(root, 'docs', 'guides')
const GUIDES = readdirSync(FOLDER)
  .filter((file) => file !== 'README.md')
  .map((file) => file.replace(/\.md$/, ''))

test.each(GUIDES)(
  'the commands of the guide %s do what it says',
  async (name) => {
    await runGuide(name)
  },
  900_000,
)

test.each(GUIDES)('the guide %s has commands that are run, and says what they print', (name) => {
  const blocks = readBlocks(readFileSync(join(FOLDER, `${name}.md`), 'utf8'))

  expect(blocks.filter(({ kind }) => kind === 'ci').length).toBeGreaterThan(0)
  expect(blocks.filter(({ kind }) => kind === 'prints').length).toBeGreaterThan(0)
})
