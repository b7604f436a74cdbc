import { invalid } from '@millrace/api/errors'
import { expect, test } from 'vitest'
import { GroupedReads } from './grouped-reads.ts'

/** Reads whose statements end when told to; `sent` holds the keys of each. */
function pausedReads() {
  const sent: string[][] = []
  const ends: (() => void)[] = []
  const reads = new GroupedReads<string, string>(async (keys) => {
    const version = `v${sent.push(keys)}`
    await new Promise<void>((resolve) => ends.push(resolve))
    return new Map(keys.filter((key) => key !== 'none').map((key) => [key, `${key} ${version}`]))
  })
  return { reads, sent, end: (statement: number) => ends[statement]?.() }
}

test('reads that come while two statements are under way share the next one', async () => {
  const { reads, sent, end } = pausedReads()
  const first = [reads.read('a'), reads.read('b')]
  const next = [reads.read('a'), reads.read('c'), reads.read('a'), reads.read('none')]
  expect(sent).toEqual([['a'], ['b']])
  end(0)
  end(1)
  expect(await Promise.all(first)).toEqual(['a v1', 'b v2'])
  end(2)
  expect(await Promise.all(next)).toEqual(['a v3', 'c v3', 'a v3', undefined])
  expect(sent).toEqual([['a'], ['b'], ['a', 'c', 'none']])
})

test('a read is never answered from a statement that was sent before it came', async () => {
  const { reads, end } = pausedReads()
  const before = reads.read('a')
  const after = reads.read('a')
  end(1)
  expect(await after).toBe('a v2')
  end(0)
  expect(await before).toBe('a v1')
})

test('a key that is refused fails nobody else', async () => {
  const reads = new GroupedReads<string, string>(async (keys) => {
    if (keys.includes('bad')) throw invalid('bad')
    return new Map(keys.map((key) => [key, key]))
  })
  const answers = await Promise.allSettled(['x', 'y', 'a', 'bad', 'b'].map((k) => reads.read(k)))
  expect(answers.map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
  ])
})

test('reads do not wait for statements that hang', async () => {
  const { reads, sent, end } = pausedReads()
  const hanging = [reads.read('a'), reads.read('b')]
  const waiting = reads.read('c')
  await expect.poll(() => sent.length, { timeout: 180_000 }).toBe(3)
  end(2)
  expect(await waiting).toBe('c v3')
  const next = reads.read('d')
  end(3)
  expect(await next).toBe('d v4')
  end(0)
  end(1)
  expect(await Promise.all(hanging)).toEqual(['a v1', 'b v2'])
})
