import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { schemaProblem } from './job-schema.ts'

interface StoredJob {
  definition: { metadata: { name: string; namespace: string } } & Record<string, unknown>
  /** What its status will say, one look after the other; the last one stays. */
  statuses: object[]
}

/** The part of a Kubernetes API server that jobs need, at its real paths. */
export interface FakeCluster extends AsyncDisposable {
  /** A kubeconfig with the contexts `one` (not reachable) and `two` (this). */
  kubeconfig: string
  jobs: Map<string, StoredJob>
  deleted: string[]
  /** What the pod of every job has written, with timestamps. */
  podLog: string
}

/**
 * Starts a stand-in for a cluster: no real one is asked. It holds a job against
 * the recorded schema of the API and checks what a server does besides: the version and kind, DNS names,
 * a restart policy that jobs may have.
 */
export async function startCluster(statuses: object[]): Promise<FakeCluster> {
  const jobs = new Map<string, StoredJob>()
  const deleted: string[] = []
  const cluster = { podLog: '' }
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://cluster')
    const answer = (status: number, body: object | string) => {
      const isText = typeof body === 'string'
      response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json' })
      response.end(isText ? body : JSON.stringify(body))
    }
    const refuse = (code: number, message: string) =>
      answer(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code })
    if (request.headers.authorization !== 'Bearer token-of-two') {
      refuse(401, 'Unauthorized')
      return
    }
    const [, namespace = '', name = '', part] =
      /^\/apis\/batch\/v1\/namespaces\/([^/]+)\/jobs(?:\/([^/]+)(\/status)?)?$/.exec(pathname) ?? []
    const job = jobs.get(`${namespace}/${name}`)
    if (namespace && request.method === 'POST' && !name) {
      void json(request).then((body) => {
        const definition = body as StoredJob['definition']
        const isStrict = searchParams.get('fieldValidation') === 'Strict'
        const [status, problem] = refusalOf(definition, namespace, isStrict)
        if (problem) return refuse(status, problem)
        jobs.set(`${namespace}/${definition.metadata.name}`, {
          definition,
          statuses: [...statuses],
        })
        return answer(201, definition)
      })
    } else if (namespace && !job) refuse(404, `jobs.batch "${name}" not found`)
    else if (job && part && request.method === 'GET') {
      const status = job.statuses.length > 1 ? job.statuses.shift() : job.statuses[0]
      answer(200, { ...job.definition, status })
    } else if (job && request.method === 'DELETE') {
      deleted.push(name)
      jobs.delete(`${namespace}/${name}`)
      answer(200, { kind: 'Status', apiVersion: 'v1', status: 'Success' })
    } else if (/^\/api\/v1\/namespaces\/[^/]+\/pods$/.test(pathname)) {
      const owner = searchParams.get('labelSelector')?.replace('job-name=', '')
      const items = [{ metadata: { name: `${owner}-x1y2z` }, status: { phase: 'Running' } }]
      answer(200, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items })
    } else if (/^\/api\/v1\/namespaces\/[^/]+\/pods\/[^/]+\/log$/.test(pathname)) {
      answer(200, cluster.podLog)
    } else refuse(404, `${pathname} not found`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.address() as AddressInfo
  return Object.assign(cluster, {
    kubeconfig: kubeconfig(`http://127.0.0.1:${port}`),
    jobs,
    deleted,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** A field that nobody knows is refused only if that is asked for; a server drops it otherwise. */
function refusalOf(
  definition: StoredJob['definition'],
  namespace: string,
  isStrict: boolean,
): [number, string | undefined] {
  const problem = schemaProblem(definition)
  if (!problem?.startsWith('unknown field')) {
    return [422, problem ?? problemOf(definition, namespace)]
  }
  return [400, isStrict ? `strict decoding error: ${problem}` : undefined]
}

function problemOf(definition: StoredJob['definition'], namespace: string): string | undefined {
  const { apiVersion, kind, metadata, spec } = definition as unknown as {
    apiVersion?: string
    kind?: string
    metadata?: { name?: string; namespace?: string }
    spec?: {
      template?: {
        spec?: {
          restartPolicy?: string
          containers?: { name?: string; image?: string }[]
        }
      }
    }
  }
  const pod = spec?.template?.spec
  const [container] = pod?.containers ?? []
  if (apiVersion !== 'batch/v1' || kind !== 'Job') return 'this is no Job of batch/v1'
  if (metadata?.namespace !== namespace) return 'the namespace of the object is not that of the URL'
  if (!DNS_LABEL.test(metadata.name ?? '')) return `metadata.name: Invalid value: ${metadata.name}`
  if (!/^(?:Never|OnFailure)$/.test(pod?.restartPolicy ?? '')) {
    return 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
  }
  const isRight = DNS_LABEL.test(container?.name ?? '') && container?.image
  return isRight ? undefined : 'containers[0] is wrong'
}

function kubeconfig(server: string): string {
  const entry = (name: string, url: string) => ({
    clusters: { name, cluster: { server: url, 'insecure-skip-tls-verify': true } },
    users: { name, user: { token: `token-of-${name}` } },
    contexts: { name, context: { cluster: name, user: name } },
  })
  const entries = [entry('one', 'http://127.0.0.1:9'), entry('two', server)]
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    clusters: entries.map(({ clusters }) => clusters),
    users: entries.map(({ users }) => users),
    contexts: entries.map(({ contexts }) => contexts),
  })
}
