import { expect, test } from 'vitest'
import { chooseServer, chooseVariant } from './choose-server.ts'

const variants = [
  { name: 'a', weight: 1 },
  { name: 'none', weight: 0 },
  { name: 'b', weight: 3 },
].map(({ name, weight }) => ({ variant: { VariantName: name }, container: {}, weight, count: 1 }))

test.each([
  [0, 'a'],
  [0.249, 'a'],
  [0.25, 'b'],
  [0.999, 'b'],
])('of weights 1, 0 and 3 the number %d chooses %s', (random, chosen) => {
  expect(chooseVariant({ variants }, () => random)).toBe(chosen)
})

test('nothing is chosen where all weights are 0', () => {
  const none = variants.map((variant) => ({ ...variant, weight: 0 }))
  expect(chooseVariant({ variants: none }, () => 0.5)).toBeUndefined()
})

test('servers of a variant take turns, without those that do not answer or were tried', () => {
  const servers = [
    { variant: 'a', index: 0, port: 1, isReady: true },
    { variant: 'a', index: 1, port: 2, isReady: true },
    { variant: 'a', index: 2, port: 3, isReady: false },
    { variant: 'b', index: 0, port: 4, isReady: true },
  ]
  const ports = [1, 2, 3, 4].map(() => chooseServer({ servers }, 'a', [])?.port)
  expect(new Set(ports)).toEqual(new Set([1, 2]))
  expect(ports[0]).toBe(ports[2])
  expect(chooseServer({ servers }, 'a', [1])?.port).toBe(2)
  expect(chooseServer({ servers }, 'a', [1, 2])).toBeUndefined()
})
