import { randomBytes } from 'node:crypto'
import type { Plane } from '@millrace/sagemaker-local/plane'
import type { SageMakerConfig } from '@millrace/server/config'

const TOKEN_BYTES = 32

/** The part of a running tracking server that a control plane beside it has to do with. */
interface TrackingServer {
  url: string
  linkPlane(address: { url: string; token: string }): void
  close(): Promise<void>
}

/**
 * Starts a control plane whose jobs track their runs at a server, and whose jobs and endpoints are on
 * the server's pages. When it cannot be started, the server is closed.
 *
 * @throws Error that says what to do
 */
export async function startPlaneBeside(
  server: TrackingServer,
  { port, directory, imagesFile }: SageMakerConfig,
): Promise<Plane> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  try {
    const { startPlane } = await import('@millrace/sagemaker-local/plane')
    const plane = await startPlane({
      directory,
      port,
      imagesFile,
      trackingUri: server.url,
      pagesToken: token,
      environment: process.env,
    })
    server.linkPlane({ url: plane.url, token })
    return plane
  } catch (error) {
    await server.close()
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    if (!isTaken) throw error
    throw new Error(`Port ${port} is taken. Choose another with --sagemaker-local PORT.`, {
      cause: error,
    })
  }
}

/** Tells where a control plane is and how scripts come to it. */
export function announcePlane({ url, settings }: Plane): void {
  process.stdout.write(
    `SageMaker is at ${url}, its data in ${settings.directory}. ` +
      `In another shell: eval "$(millrace env --url ${url})".\n`,
  )
}
