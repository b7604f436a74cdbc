import { describe, expect, test } from 'vitest'
import { billOfMaterials, partsOfLock } from './bill-of-materials.ts'

const LOCK = {
  packages: {
    '': {},
    'packages/cli': { dependencies: { '@own/server': '1.0.0', commander: '15' } },
    'packages/server': { name: '@own/server', dependencies: { ms: '1' } },
    'packages/server/node_modules/ms': { version: '1.0.0', integrity: 'sha512-AAEC' },
    'node_modules/@own/server': { link: true, resolved: 'packages/server' },
    'node_modules/commander': { version: '15.1.0', license: 'MIT', dependencies: { ms: '2' } },
    'node_modules/ms': { version: '2.0.0' },
    'node_modules/vitest': { version: '5.0.0' },
  },
}

describe('a bill of materials', () => {
  test('names what runs, in the versions that npm would find, and nothing of development', () => {
    const urls = partsOfLock(LOCK, 'packages/cli').map(({ purl }) => purl)

    expect(urls).toEqual(['pkg:npm/commander@15.1.0', 'pkg:npm/ms@1.0.0', 'pkg:npm/ms@2.0.0'])
  })

  test('is the same for the same parts, with the hashes of the lock file in hexadecimal', () => {
    const bill = () =>
      billOfMaterials({ name: 'tracker', version: '1' }, partsOfLock(LOCK, 'packages/cli'))

    expect(bill()).toEqual(bill())
    expect(bill().serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(bill().components[1]?.hashes).toEqual([{ alg: 'SHA-512', content: '000102' }])
  })
})
