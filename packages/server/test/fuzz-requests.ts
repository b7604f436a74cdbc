import { api, streams } from '@millrace/api/api'
import type { Endpoint, StreamEndpoint } from '@millrace/api/endpoint'
import { z } from 'zod'
import {
  jsonText,
  type KnownThings,
  oddValue,
  RawJson,
  someFilter,
  someOrder,
  someToken,
} from './fuzz-values.ts'
import type { Random } from './seeded-random.ts'

/** An endpoint of the contract, as the fuzzer sees it. */
export interface FuzzTarget {
  /** Group and name, such as `runs.logBatch`. */
  id: string
  endpoint: Endpoint | StreamEndpoint
  methods: readonly string[]
  /** Every URL it answers at, path parameters unfilled. */
  urls: readonly string[]
}

export interface FuzzRequest {
  target: FuzzTarget
  method: string
  url: string
  headers: Record<string, string>
  body: Buffer | undefined
  /** Whether the method is one of the endpoint's. */
  isKnown: boolean
}

/** Every endpoint of the contract under every spelling of its URL. */
export function fuzzTargets(staticPrefix: string): FuzzTarget[] {
  const targets: FuzzTarget[] = []
  for (const [group, endpoints] of Object.entries(api)) {
    for (const [name, endpoint] of Object.entries<Endpoint>(endpoints)) {
      const roots = endpoint.audience === 'ui' ? ['/ajax-api'] : ['/api', '/ajax-api']
      targets.push(target(`${group}.${name}`, endpoint, roots, staticPrefix))
    }
  }
  for (const [group, endpoints] of Object.entries(streams)) {
    for (const [name, endpoint] of Object.entries<StreamEndpoint>(endpoints)) {
      const roots = { root: [], 'ajax-api': ['/ajax-api'], api: ['/api', '/ajax-api'] }[
        endpoint.mount
      ]
      targets.push(target(`${group}.${name}`, endpoint, roots, staticPrefix))
    }
  }
  return targets
}

function target(
  id: string,
  endpoint: Endpoint | StreamEndpoint,
  roots: readonly string[],
  staticPrefix: string,
): FuzzTarget {
  const { path, version = '2.0', method } = endpoint
  const versions = version === '2.0' ? ['/2.0', '/2.0/preview'] : [`/${version}`]
  const below = roots.flatMap((root) => versions.map((spelling) => root + spelling + path))
  const urls = ['', staticPrefix].flatMap((prefix) =>
    (below.length === 0 ? [path] : below).map((url) => prefix + url),
  )
  return { id, endpoint, methods: [method].flat(), urls }
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']
const CONTENT_TYPES = [
  'text/plain|application/x-www-form-urlencoded|multipart/form-data; boundary=x|json|*/*|;|',
  'application/json; charset=utf-16|APPLICATION/JSON|text/html, application/json',
].flatMap((line) => line.split('|'))

const URL_MAX = 12_000

/** A request to an endpoint: as a client would send it, or with something wrong. */
export function fuzzRequest(random: Random, target: FuzzTarget, known: KnownThings): FuzzRequest {
  const schema = target.endpoint.input as z.ZodObject
  let input: unknown = validObject(random, schema, known, target.id)
  const mutations = random.chance(0.4) ? 0 : 1 + random.below(3)
  for (let i = 0; i < mutations; i++) input = mutated(random, input)

  const isOddMethod = random.chance(0.04)
  const method = isOddMethod ? random.pick(METHODS) : random.pick(target.methods)
  const { path, rest } = fillPath(random, random.pick(target.urls), input)
  const isStream = 'direction' in target.endpoint
  const hasQuery = isStream || method === 'GET' || method === 'HEAD' || random.chance(0.03)
  const query = hasQuery ? queryText(random, rest) : ''
  const body = isStream ? someBytes(random, method) : hasQuery ? undefined : bodyOf(random, rest)
  const headers: Record<string, string> = {}
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (random.chance(0.03)) headers['content-type'] = random.pick(CONTENT_TYPES)
  if (random.chance(0.02)) {
    headers['range'] = random.pick([
      'bytes=0-1',
      'bytes=-0',
      'bytes=9-1',
      'bytes=0-0,2-3',
      'x=1',
      'bytes=5-',
    ])
  }
  return {
    target,
    method,
    // Node refuses more than 16 KiB of headers by itself, which is tested with sockets.
    url: (path + query).slice(0, URL_MAX),
    headers,
    body,
    isKnown: target.methods.includes(method),
  }
}

/** Puts path parameters in their places, in one of the ways they could be written. */
function fillPath(random: Random, template: string, input: unknown) {
  const rest = isObject(input) ? { ...input } : input
  const path = template.replace(/:(\w+)|\*/g, (segment, name: string | undefined) => {
    const field = name ?? 'path'
    const value = isObject(rest) ? rest[field] : undefined
    if (isObject(rest)) delete rest[field]
    const text = typeof value === 'string' ? value : jsonText(value ?? '')
    const encoded =
      segment === '*' ? text.split('/').map(encodeSegment).join('/') : encodeSegment(text)
    if (random.chance(0.03))
      return random.pick(['%', '%zz', '%c0%af', '%00', '..%2f..%2f', ';x', '%252e%252e/'])
    return random.chance(0.05) ? encodeSegment(encoded) : encoded
  })
  return { path, rest }
}

function encodeSegment(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

function queryText(random: Random, input: unknown): string {
  if (!isObject(input)) return `?${encodeSegment(jsonText(input))}`
  const parts = Object.entries(input).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each) => {
      const text = typeof each === 'string' ? each : jsonText(each)
      return `${encodeSegment(name)}=${random.chance(0.02) ? '%ff%zz' : encodeSegment(text)}`
    }),
  )
  const query = parts.join('&')
  return query === '' ? '' : `?${query}`
}

function bodyOf(random: Random, input: unknown): Buffer {
  const bytes = Buffer.from(jsonText(input))
  const kind = random.next()
  if (kind < 0.9) return bytes
  if (kind < 0.92) return Buffer.from(JSON.stringify(bytes.toString()))
  if (kind < 0.94) return bytes.subarray(0, random.below(bytes.length + 1))
  if (kind < 0.96) {
    const at = random.below(bytes.length + 1)
    const bad = Buffer.from(
      random.pick(['ff', 'c0af', 'eda080', 'f4908080', '00', 'efbbbf']),
      'hex',
    )
    return Buffer.concat([bytes.subarray(0, at), bad, bytes.subarray(at)])
  }
  if (kind < 0.97) return Buffer.from(jsonText(oddValue(random)))
  return Buffer.from(
    random.pick(['', '[]', '""', '"\\"{}\\""', '{', 'null', '{}{}', '\ufeff{}', '{"a":}']),
  )
}

function someBytes(random: Random, method: string): Buffer | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined
  return Buffer.from(random.word(random.pick([0, 1, 100, 70_000])))
}

type Fields = Record<string, unknown>

function isObject(value: unknown): value is Fields {
  return (
    value !== null &&
    typeof value === 'object' &&
    !Array.isArray(value) &&
    !(value instanceof RawJson)
  )
}

/** Puts something wrong somewhere into a value. */
function mutated(random: Random, value: unknown): unknown {
  if (Array.isArray(value) && value.length > 0 && random.chance(0.8)) {
    const at = random.below(value.length)
    return value.map((element, index) => (index === at ? mutated(random, element) : element))
  }
  if (!isObject(value) || random.chance(0.03)) return oddValue(random)
  const names = Object.keys(value)
  const name = names.length > 0 ? random.pick(names) : random.word(3)
  const copy: Fields = { ...value }
  const kind = random.next()
  if (kind < 0.5) copy[name] = mutated(random, value[name])
  else if (kind < 0.65) copy[name] = oddValue(random)
  else if (kind < 0.75) delete copy[name]
  else if (kind < 0.85)
    copy[random.pick([random.word(4), 'toString', 'constructor', ''])] = oddValue(random)
  else {
    delete copy[name]
    copy[name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())] = value[name]
    if (random.chance(0.2)) copy[name] = value[name]
  }
  return copy
}

/** Optional only by their schema: each of their handlers needs them. */
const LEFT_OUT: Record<string, number> = {
  'artifacts.getArtifact': 0.1,
  'artifacts.getModelVersionArtifact': 0.05,
  'artifacts.uploadArtifact': 0.1,
}

function validObject(random: Random, schema: z.ZodObject, known: KnownThings, id: string): Fields {
  const fields: Fields = {}
  for (const [name, declared] of Object.entries<z.core.$ZodType>(schema.shape)) {
    const isOptional = declared instanceof z.ZodOptional
    if (isOptional && random.chance(LEFT_OUT[id] ?? 0.4)) continue
    fields[name] = validValue(random, name, isOptional ? declared.unwrap() : declared, known, id)
  }
  return fields
}

function validValue(
  random: Random,
  name: string,
  schema: z.core.$ZodType,
  known: KnownThings,
  id: string,
): unknown {
  if (schema instanceof z.ZodObject) return validObject(random, schema, known, id)
  if (schema instanceof z.ZodArray) {
    const length = random.pick([0, 1, 1, 2, 3])
    return Array.from({ length }, () => {
      if (name === 'metrics' && id === 'runs.logBatch') return metric(random, known)
      return validValue(random, name, schema.element, known, id)
    })
  }
  return field(random, name, known, id)
}

function metric(random: Random, known: KnownThings): Fields {
  return {
    key: random.pick(['m', 'n', 'deep/loss']),
    value: random.pick([random.next(), -1, Number.NaN, Number.POSITIVE_INFINITY, '0.5', -0]),
    timestamp: random.below(1000),
    step: random.pick([0, 1, -5, 2n ** 63n - 1n, '7']),
    ...(random.chance(0.2) && { model_id: random.pick(known.loggedModels) }),
  }
}

/** A fitting value of a field that is neither a list nor an object. */
function field(random: Random, name: string, known: KnownThings, id: string): unknown {
  const isCreate = id.endsWith('.create')
  switch (name) {
    case 'experiment_id':
    case 'experiment_ids':
      return random.pick([...known.experiments, random.below(4), '99999'])
    case 'run_id':
    case 'run_ids':
    case 'run_uuid':
    case 'source_run_id':
      return random.pick(known.runs)
    case 'model_id':
      return random.pick(known.loggedModels)
    case 'name':
      return isCreate && id !== 'modelVersions.create' ? random.word(12) : random.pick(known.models)
    case 'new_name':
    case 'run_name':
      return random.word(12)
    case 'source':
      return random.pick([
        `runs:/${random.pick(known.runs)}/model`,
        `models:/${random.pick(known.models)}/1`,
        's3://b/k',
      ])
    case 'version':
      return random.pick(['1', '2', 1])
    case 'stage':
    case 'stages':
      return random.pick(['Staging', 'production', 'None', 'Archived'])
    case 'status':
      return random.pick(['FINISHED', 'RUNNING', 'LOGGED_MODEL_READY', 3, 'BOGUS'])
    case 'view_type':
    case 'run_view_type':
      return random.pick(['ACTIVE_ONLY', 'ALL', 'DELETED_ONLY', 2])
    case 'filter':
      return someFilter(random)
    case 'order_by':
      return someOrder(random)
    case 'field_name':
      return random.pick(['metrics.m', 'creation_time', 'name', 'params.p', 'attributes.name'])
    case 'page_token':
      return someToken(random, known)
    case 'path':
    case 'artifact_file_path':
    case 'artifact_directory_path':
      return random.pick([
        'a.txt',
        'a.txt',
        'a.txt',
        'dir/b.bin',
        'dir',
        `dir/${random.word(2)}`,
        'model/MLmodel',
        '',
      ])
    case 'artifact_location':
      return random.pick(['mlflow-artifacts:/elsewhere', 's3://bucket/x', '/tmp/x', ''])
    case 'model_json':
      return JSON.stringify({
        run_id: random.pick(known.runs),
        artifact_path: 'm',
        utc_time_created: 'x',
        flavors: {},
      })
    case 'max_results':
      return random.pick([1, 2, 100, '3', 50_000])
    case 'timestamp':
    case 'step':
    case 'start_time':
    case 'end_time':
    case 'start_step':
    case 'end_step':
    case 'expiration':
    case 'num_parts':
      return random.pick([random.below(100), 1_700_000_000_000, '12'])
    case 'ascending':
    case 'allow_deleted':
    case 'archive_existing_versions':
      return random.pick([true, false, 'True'])
    case 'value':
      return id === 'runs.logMetric'
        ? random.pick([random.next(), 'NaN', -3])
        : random.word(random.pick([0, 3, 40]))
    case 'key':
    case 'metric_key':
    case 'tag_key':
      return random.pick(['m', 'p', 't', 'k1', 'k2', 'deep/loss', random.word(3)])
    case 'alias':
      return random.pick(['champion', 'latest', 'a1'])
    default:
      return random.word(5)
  }
}
