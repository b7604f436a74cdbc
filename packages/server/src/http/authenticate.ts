import type { FastifyRequest } from 'fastify'
import { type Caller, SINGLE_USER } from '../auth/caller.ts'

/** Says who sent a request. The server has one user for now, so it is always that one. */
export async function authenticate(_request: FastifyRequest): Promise<Caller> {
  return SINGLE_USER
}
