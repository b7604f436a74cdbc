import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { api } from './api.ts'
import type { Endpoint, Group } from './endpoint.ts'
import { openapi } from './openapi.ts'

test('the committed OpenAPI document is the one that the contract gives', () => {
  const committed = readFileSync(new URL('../openapi.json', import.meta.url), 'utf8')

  expect(JSON.parse(committed), 'run `npm run openapi`').toEqual(
    JSON.parse(JSON.stringify(openapi())),
  )
})

const endpoints = Object.entries<Group>(api).flatMap(([groupName, group]) =>
  Object.entries<Endpoint>(group).map(([name, endpoint]) => ({
    id: `${groupName}.${name}`,
    endpoint,
  })),
)

test.each(endpoints)(
  '$id names a field of its input as what access is decided on',
  ({ endpoint }) => {
    const { access, input } = endpoint
    if (typeof access === 'string' || 'create' in access) return

    const fields = Object.keys((input as { shape?: object }).shape ?? {})
    expect(fields).toContain(access.field)
  },
)

test('no two endpoints answer the same method and path', () => {
  const seen = endpoints.flatMap(({ endpoint: { method, path, version = '2.0' } }) =>
    (typeof method === 'string' ? [method] : [...method]).map(
      (verb) => `${verb} ${version}${path}`,
    ),
  )

  expect(seen).toEqual([...new Set(seen)])
})
