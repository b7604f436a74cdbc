import type { FastifyInstance } from 'fastify'
import { foreignPage } from '../auth/browser-guard.ts'
import type { PlaneSettings } from '../plane-settings.ts'
import { AwsError } from './aws-error.ts'

/**
 * Refuses what web pages send to a plane without access keys, before anything of it is read: there
 * whoever may send a request may run programs. With keys a page could not sign one. Holds for every
 * route of the scope; S3 and the registry ask for themselves, in their own words.
 */
export function refuseForeignPages(
  scope: FastifyInstance,
  { accessKeys }: Pick<PlaneSettings, 'accessKeys'>,
): void {
  if (accessKeys.length > 0) return
  scope.addHook('onRequest', async ({ headers }) => {
    const foreign = foreignPage(headers)
    if (foreign !== undefined) throw new AwsError('AccessDeniedException', foreign, { status: 403 })
  })
}
