import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'

/** A request to the registry, taken apart. */
export interface RegistryRequest {
  method: string
  /** Without `/v2`. */
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  body: AsyncIterable<Uint8Array>
  createsRepositories: boolean
}

export interface RegistryAnswer {
  status?: number
  headers?: Record<string, string | number>
  body?: string | Buffer | Readable
}
