import type { Access } from '@millrace/api/endpoint'
import type { RequestContext } from '../handlers.ts'

/**
 * Decides for every endpoint whether the caller may go on; throws PERMISSION_DENIED if not. The
 * server has one user for now, who may do everything: a server that others can reach refuses to
 * start (`config.ts`) unless it is told to be open.
 */
export async function authorize(
  _access: Access,
  _context: Pick<RequestContext, 'db' | 'caller'>,
  _input: unknown,
): Promise<void> {}
