import type { Endpoint } from '@millrace/api/endpoint'
import { ApiError, ERROR_STATUS, type ErrorCode } from '@millrace/api/errors'
import { type Call, createClient } from '@millrace/client/client'
import { QueryClient, queryOptions, useMutation } from '@tanstack/react-query'
import { basePath } from './base-path.ts'

/** The only place that fetches: components ask through `query`, `useAction` and the byte readers. */
export const client = createClient({ baseUrl: basePath, root: 'ajax-api' })

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      networkMode: 'always',
      retry: (failures, error) => !(error instanceof ApiError) && failures < 1,
      retryDelay: 300,
      refetchOnWindowFocus: true,
    },
    mutations: { networkMode: 'always' },
  },
})

type InputOf<C> = C extends (input: infer Input, ...rest: never[]) => unknown ? Input : never
type OutputOf<C> = C extends (...input: never[]) => Promise<infer Output> ? Output : never

/** An endpoint with its input as a cached question. */
export function query<C extends Call<never> | Call>(call: C, input: InputOf<C>) {
  const { endpoint } = call as { endpoint: Endpoint }
  return queryOptions({
    queryKey: [endpoint.path, input] as const,
    queryFn: ({ signal }) => (call as Call)(input, { signal }) as Promise<OutputOf<C>>,
  })
}

const PLANE_ROOT = `${basePath}/ajax-api/millrace/sagemaker`

/** A question to the control plane of SageMaker beside the server; `path` begins with a slash. */
export function planeQuery<Answer>(path: string) {
  return queryOptions({
    queryKey: ['plane', path] as const,
    queryFn: ({ signal }) => askPlane<Answer>(path, { signal }),
  })
}

/** A path of the control plane, with the names in it escaped. */
export function planePath(texts: TemplateStringsArray, ...names: string[]): string {
  return String.raw({ raw: texts }, ...names.map(encodeURIComponent))
}

/** Asks the control plane, or tells it something where there is a body. */
export async function askPlane<Answer>(
  path: string,
  { body, signal }: { body?: object; signal?: AbortSignal } = {},
): Promise<Answer> {
  const response = await fetch(PLANE_ROOT + path, {
    method: body ? 'POST' : 'GET',
    ...(body && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
    ...(signal && { signal }),
  })
  if (response.ok) return response.json() as Promise<Answer>
  throw toPlaneError(response.status, await response.text())
}

/** A control plane says which thing it does not have; a server without one knows no such page. */
const NO_PLANE =
  'This server has no control plane for jobs and endpoints: start it with millrace server --sagemaker-local.'

function toPlaneError(status: number, text: string): Error {
  const message =
    messageIn(text) ?? (status === 404 ? NO_PLANE : `The control plane answered ${status}`)
  const code = /"error_code":\s*"(\w+)"/.exec(text)?.[1]
  return code !== undefined && code in ERROR_STATUS
    ? new ApiError(code as ErrorCode, message)
    : new Error(message)
}

/** A change through the API; whatever is on screen is asked for again once it is stored. */
export function useAction<Input, Output>(change: (input: Input) => Promise<Output>) {
  return useMutation({
    mutationFn: change,
    onSuccess: () => queryClient.invalidateQueries(),
  })
}

/** Version and reachability of the server, asked every few seconds. */
export const heartbeatQuery = queryOptions({
  queryKey: ['heartbeat'],
  queryFn: async () => {
    const response = await fetch(`${basePath}/version`)
    if (!response.ok) throw new Error(`The server answered ${response.status}`)
    return (await response.text()).trim()
  },
  refetchInterval: 3000,
  retry: false,
})

/** The first bytes of an artifact as it is stored, and whether there are more of them. */
export interface Bytes {
  bytes: Uint8Array<ArrayBuffer>
  isCut: boolean
}

/** Reads at most `limit` bytes of an artifact; the rest is never transferred. */
export function bytesQuery(url: string, limit: number) {
  return queryOptions({
    queryKey: ['bytes', url, limit],
    staleTime: 60_000,
    queryFn: async ({ signal }): Promise<Bytes> => {
      const response = await fetch(url, { signal, headers: { range: `bytes=0-${limit - 1}` } })
      // A range of an empty file cannot be satisfied.
      if (response.status === 416) return { bytes: new Uint8Array(0), isCut: false }
      if (!response.ok) throw new Error(await failureText(response))
      return readUpTo(response, limit)
    },
  })
}

async function failureText(response: Response): Promise<string> {
  const text = await response.text()
  return messageIn(text) ?? `The server answered ${response.status}`
}

/** The message of an error's JSON. */
function messageIn(text: string): string | undefined {
  const quoted = /"message":\s*("(?:[^"\\]|\\.)*")/.exec(text)?.[1]
  return quoted === undefined ? undefined : String(JSON.parse(quoted))
}

async function readUpTo(response: Response, limit: number): Promise<Bytes> {
  const total = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1] ?? 0)
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = response.body?.getReader()
  for (;;) {
    const chunk = length > limit ? undefined : await reader?.read()
    if (!chunk?.value) break
    chunks.push(chunk.value)
    length += chunk.value.length
  }
  await reader?.cancel()
  const bytes = new Uint8Array(Math.min(length, limit))
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk.subarray(0, limit - offset), offset)
    offset = Math.min(limit, offset + chunk.length)
  }
  return { bytes, isCut: length > limit || total > length }
}
