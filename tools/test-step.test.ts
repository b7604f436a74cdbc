import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from './setup/step.mjs'
import { vitestStep } from './test-step.ts'

// Below the root, so that the tests in it find vitest.
let folder = ''

beforeAll(() => {
  mkdirSync(join(root, '.cache'), { recursive: true })
  folder = mkdtempSync(join(root, '.cache', 'second-try-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A test that fails until it has been run once, and one that always passes. */
function writeFlaky(file: string): void {
  writeFileSync(
    join(folder, file),
    `import { existsSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
const marker = import.meta.filename + '.ran'
test('sure', () => {})
test('flaky', () => {
  const hasRun = existsSync(marker)
  writeFileSync(marker, '')
  expect(hasRun).toBe(true)
})
`,
  )
}

const runIn = (file: string) => vitestStep(`second try ${file}`, [`--root=${folder}`, file]).run()

test('a file that fails by chance is run once more, and named', async () => {
  writeFlaky('slow.test.mjs')
  const result = await runIn('slow.test.mjs')
  expect(result).toMatchObject({ passed: 2, failed: 0, secondTries: ['slow.test.mjs'] })
})

test('what must never happen has no second try', async () => {
  writeFlaky('kill-campaign.test.mjs')
  expect(await runIn('kill-campaign.test.mjs')).toMatchObject({ passed: 1, failed: 1 })
})

test('it has one when it only ran out of time', async () => {
  writeFileSync(
    join(folder, 'slow-campaign.test.mjs'),
    `import { existsSync, writeFileSync } from 'node:fs'
import { test } from 'vitest'
const marker = import.meta.filename + '.ran'
test('slow', { timeout: 200 }, async () => {
  if (existsSync(marker)) return
  writeFileSync(marker, '')
  await new Promise((resolve) => setTimeout(resolve, 2000))
})
`,
  )
  const result = await runIn('slow-campaign.test.mjs')
  expect(result).toMatchObject({ passed: 1, failed: 0, secondTries: ['slow-campaign.test.mjs'] })
})

test('what fails twice has failed', async () => {
  writeFileSync(
    join(folder, 'wrong.test.mjs'),
    `import { expect, test } from 'vitest'\ntest('wrong', () => expect(1).toBe(2))\n`,
  )
  const result = await runIn('wrong.test.mjs')
  expect(result).toMatchObject({ passed: 0, failed: 1 })
  expect(result.secondTries).toBeUndefined()
})
