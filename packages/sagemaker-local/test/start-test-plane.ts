import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Plane, type PlaneOptions, startPlane } from '../src/plane.ts'

/** A control plane for a test, with a folder of its own; disposing it removes both. */
export interface TestPlane extends AsyncDisposable {
  plane: Plane
  url: string
  directory: string
  /** For clients of `@aws-sdk`. */
  client: {
    endpoint: string
    region: string
    credentials: { accessKeyId: string; secretAccessKey: string }
    maxAttempts: number
  }
}

/** Starts a control plane at a free port. */
export async function startTestPlane(options: Partial<PlaneOptions> = {}): Promise<TestPlane> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'millrace-plane-')))
  const plane = await startPlane({ port: 0, environment: process.env, ...options, directory })
  return {
    plane,
    url: plane.url,
    directory,
    client: {
      endpoint: plane.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    },
    async [Symbol.asyncDispose]() {
      await plane[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
