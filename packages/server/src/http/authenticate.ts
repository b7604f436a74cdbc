import { invalid } from '@millrace/api/errors'
import type { FastifyRequest } from 'fastify'
import { type Caller, SINGLE_USER } from '../auth/caller.ts'

/**
 * Says who sent a request. The server has one user for now, so it is always that one.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a workspace, which would else be taken for the
 *   default one: there are none yet
 */
export async function authenticate(request: FastifyRequest): Promise<Caller> {
  const workspace = request.headers['x-mlflow-workspace']
  if (workspace && workspace !== SINGLE_USER.workspace) {
    throw invalid(
      `Workspace '${workspace}' cannot be used: workspaces are not enabled on this server`,
    )
  }
  return SINGLE_USER
}
