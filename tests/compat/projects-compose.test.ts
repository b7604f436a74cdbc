import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { parseEnvFile } from '../../packages/cli/src/commands/images-env-file.ts'
import { SERVER_OPTIONS } from '../../packages/server/src/server-options.ts'
import { root } from '../../tools/setup/step.mjs'

interface Service {
  environment?: Record<string, string>
  volumes?: string[]
  networks?: string[]
  configs?: { source: string; target: string }[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
  ports?: string[]
  [key: string]: unknown
}
type Named = Record<string, unknown>

const TEXT = readFileSync(join(root, 'deploy', 'compose.yaml'), 'utf8')
const { name, services, configs, networks, volumes, ...others } = parse(TEXT) as {
  name: string
  services: Record<string, Service>
  configs: Named
  networks: Named
  volumes: Named
}
const each = Object.entries(services)
/** Of a service by the Compose specification, as far as this file uses them. */
const SERVICE_KEYS =
  `image command entrypoint environment volumes networks configs depends_on healthcheck
  ports restart read_only tmpfs cap_drop security_opt`.split(/\s+/)
const CHECK_KEYS = ['test', 'interval', 'timeout', 'retries', 'start_period', 'start_interval']

test('the compose file has keys of the Compose specification, and its images are pinned', () => {
  expect({ name, others }).toEqual({ name: 'millrace', others: {} })
  for (const [, service] of each) {
    expect(SERVICE_KEYS).toEqual(expect.arrayContaining(Object.keys(service)))
    expect(CHECK_KEYS).toEqual(expect.arrayContaining(Object.keys(service.healthcheck ?? {})))
    expect(service['image']).toMatch(/^(?:[\w./-]+:\d+\.\d+|\$\{TRACKER_IMAGE:\?.+\})$/)
  }
})

test('what its services mount, join and wait for is there', () => {
  const used = (of: (service: Service) => string[]) =>
    [...new Set(each.flatMap(([, service]) => of(service)))].sort()
  const waits = each.flatMap(([, service]) => Object.entries(service.depends_on ?? {}))

  expect(used((one) => (one.volumes ?? []).map((volume) => volume.split(':')[0] ?? ''))).toEqual(
    Object.keys(volumes).sort(),
  )
  expect(used((one) => one.networks ?? [])).toEqual(Object.keys(networks).sort())
  expect(used((one) => (one.configs ?? []).map(({ source }) => source))).toEqual(
    Object.keys(configs),
  )
  expect(waits.length).toBeGreaterThan(2)
  for (const [awaited, { condition }] of waits) {
    const { healthcheck, restart } = services[awaited] ?? {}
    // A service that is started again whenever it ends never completes.
    if (condition === 'service_completed_successfully') expect(restart).toBeUndefined()
    else expect({ condition, test: healthcheck?.test[0] }).toMatchObject({ test: 'CMD' })
    expect(Object.keys(services)).toContain(awaited)
  }
})

test('the tracker is given settings that the server reads, and its port is open to this machine alone', () => {
  const known = SERVER_OPTIONS.flatMap(({ env }) => env)
  // The credentials are read by the AWS client itself.
  const given = Object.keys(services['tracker']?.environment ?? {}).filter(
    (variable) => !/^AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY)$/.test(variable),
  )

  expect(given.length).toBeGreaterThan(5)
  expect(given.filter((variable) => !known.includes(variable))).toEqual([])
  expect(each.flatMap(([, { ports = [] }]) => ports)).toEqual(['127.0.0.1:5000:5000'])
  expect(networks['inside']).toEqual({ internal: true })
})

test('every variable of the compose file is in the example of its settings, and the other way round', () => {
  const example = readFileSync(join(root, 'deploy', 'project.env.example'), 'utf8')
  const used = [...TEXT.matchAll(/\$\{(\w+)/g)].map(([, variable = '']) => variable)

  expect([...new Set(used)].sort()).toEqual(Object.keys(parseEnvFile(example, {})).sort())
})
