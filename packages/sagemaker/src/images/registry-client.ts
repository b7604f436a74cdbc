import { ApiError } from '@millrace/api/errors'

/** Name and password for a registry. */
export interface RegistryLogin {
  username: string
  password: string
}

export interface RegistryOptions {
  /** The registry's address with its scheme, such as `https://ghcr.io`. */
  url: string
  login?: RegistryLogin | undefined
  signal?: AbortSignal | undefined
}

/** What one call needs; `expected` are the statuses that are answers and not refusals. */
export interface RegistryCall {
  method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  /** A path of the registry, or the absolute URL that it handed out. */
  path: string
  headers?: Record<string, string>
  /** Bytes, or a function that begins to read them: a call that has to log in first is sent twice. */
  body?: Uint8Array<ArrayBuffer> | string | (() => ReadableStream<Uint8Array<ArrayBuffer>>)
  /** What the token has to allow, such as `repository:tracker:pull,push`. */
  scope: string
  expected: number[]
}

/** Calls a registry and answers with its response, whose status is one of `expected`. */
export type CallRegistry = (call: RegistryCall) => Promise<Response>

/**
 * A caller of a registry (OCI distribution specification 1.1) that logs in as the registry asks:
 * by Basic, or with a token fetched from the place that the registry names, one for each scope.
 */
export function createRegistryClient({ url, login, signal }: RegistryOptions): CallRegistry {
  const origin = new URL(url).origin
  const authorizations = new Map<string, string>()

  const send = async (call: RegistryCall): Promise<Response> => {
    const target = new URL(call.path, origin)
    const headers = new Headers(call.headers)
    const authorization = authorizations.get(call.scope)
    // An upload's address may be at another host, which has no business with the token.
    if (authorization && target.origin === origin) headers.set('authorization', authorization)
    const { body = null } = call
    return fetch(target, {
      method: call.method,
      headers,
      ...(typeof body === 'function' ? streamed(body()) : { body }),
      ...(signal && { signal }),
    }).catch((cause: unknown) => {
      if (signal?.aborted) throw signal.reason
      throw new ApiError('TEMPORARILY_UNAVAILABLE', `Cannot reach the registry at ${target.host}`, {
        cause,
      })
    })
  }

  return async (call) => {
    let response = await send(call)
    if (response.status === 401) {
      await response.body?.cancel()
      const challenge = response.headers.get('www-authenticate') ?? ''
      authorizations.set(call.scope, await authorize(challenge, call.scope, { url, login, signal }))
      response = await send(call)
    }
    if (call.expected.includes(response.status)) return response
    throw await toRefusal(response, call, origin)
  }
}

/** Without these two fetch keeps a copy of all that was sent, to send it again after a redirect. */
function streamed(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  return { body, duplex: 'half', redirect: 'error', window: null } as const
}

async function authorize(
  challenge: string,
  scope: string,
  { url, login, signal }: RegistryOptions,
): Promise<string> {
  const basic =
    login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
  if (!/^bearer /i.test(challenge)) {
    if (basic) return basic
    throw new ApiError(
      'UNAUTHENTICATED',
      `The registry at ${url} wants a login: give one with --username`,
    )
  }
  const fields = new Map(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
  )
  const realm = new URL(fields.get('realm') ?? url)
  const service = fields.get('service')
  if (service) realm.searchParams.set('service', service)
  realm.searchParams.set('scope', fields.get('scope') ?? scope)
  const answer = await fetch(realm, {
    headers: basic ? { authorization: basic } : {},
    ...(signal && { signal }),
  })
  if (!answer.ok) {
    await answer.body?.cancel()
    throw new ApiError(
      'UNAUTHENTICATED',
      `The registry at ${url} refused a token for ${scope} (${answer.status} from ${realm.host})`,
    )
  }
  const { token, access_token } = (await answer.json()) as { token?: string; access_token?: string }
  return `Bearer ${token ?? access_token ?? ''}`
}

async function toRefusal(response: Response, call: RegistryCall, origin: string) {
  const text = await response.text()
  const what = `${call.method} ${new URL(call.path, origin).pathname}`
  const said = registryMessage(text)
  const message = `The registry at ${new URL(origin).host} answered ${response.status} to ${what}${said ? `: ${said}` : ''}`
  if (response.status === 401) return new ApiError('UNAUTHENTICATED', message)
  if (response.status === 403) return new ApiError('PERMISSION_DENIED', message)
  if (response.status === 404) return new ApiError('RESOURCE_DOES_NOT_EXIST', message)
  if (response.status === 416 || response.status === 429 || response.status >= 500) {
    return new ApiError('TEMPORARILY_UNAVAILABLE', message)
  }
  return new ApiError('BAD_REQUEST', message)
}

function registryMessage(text: string): string {
  try {
    const { errors } = JSON.parse(text) as { errors?: { code?: string; message?: string }[] }
    return (errors ?? [])
      .map(({ code, message }) => [code, message].filter(Boolean).join(' '))
      .join('; ')
  } catch {
    return text.trim().slice(0, 200)
  }
}
