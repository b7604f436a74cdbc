import { expect, test } from 'vitest'
import { parseEcrRegistry } from './ecr-repository.ts'
import { parseImageReference } from './image-reference.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

test.each([
  ['localhost:5001/a/b:1.0', 'localhost:5001', 'a/b', '1.0'],
  ['ghcr.io/team/tracker', 'ghcr.io', 'team/tracker', 'latest'],
  [`ghcr.io/tracker@${DIGEST}`, 'ghcr.io', 'tracker', DIGEST],
  [
    '123456789012.dkr.ecr.eu-central-1.amazonaws.com/x:y',
    '123456789012.dkr.ecr.eu-central-1.amazonaws.com',
    'x',
    'y',
  ],
])(
  '%s is a registry, a repository and a tag or digest',
  (text, registry, repository, reference) => {
    expect(parseImageReference(text)).toEqual({ registry, repository, reference })
  },
)

test.each([
  ['tracker:1.0', 'names no registry'],
  ['team/tracker:1.0', 'names no registry'],
  ['evil@host.io/x:1', 'names no registry'],
  ['ghcr.io/Team:1', 'is not a repository name'],
  ['ghcr.io/../x:1', 'is not a repository name'],
  ['ghcr.io/x:a b', 'is not a tag'],
  ['ghcr.io/x@sha256:12', 'is not a SHA-256 digest'],
])('%s is refused: it %s', (text, reason) => {
  expect(() => parseImageReference(text)).toThrow(reason)
})

test('an ECR host names its account and region, and no other host does', () => {
  expect(parseEcrRegistry('123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn')).toEqual({
    account: '123456789012',
    region: 'cn-north-1',
  })
  expect(parseEcrRegistry('123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.io')).toBe(undefined)
})
