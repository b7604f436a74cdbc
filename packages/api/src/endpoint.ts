import type { z } from 'zod'

/** What a caller may do to a thing; each level includes the ones before it (MLflow's levels). */
export type Permission = 'READ' | 'USE' | 'EDIT' | 'MANAGE'

/**
 * The things that carry permissions. Runs, logged models and artifacts inherit those of their
 * experiment, model versions those of their registered model.
 */
export type Resource = 'experiment' | 'run' | 'logged_model' | 'registered_model' | 'artifact_path'

/**
 * Who may call an endpoint. There is no default, so a new endpoint cannot be open by accident.
 * - `public`: anybody, known or not;
 * - `signed-in`: any known caller; what it lists is filtered by the caller's visibility in SQL;
 * - `create`: a caller who may create such a thing in the workspace;
 * - `permission` on the resource whose id stands in the input field `field` (one id or a list);
 *   an absent optional field falls back to `signed-in`.
 */
export type Access =
  | 'public'
  | 'signed-in'
  | { create: 'experiment' | 'registered_model' }
  | { permission: Permission; on: Resource; field: string }

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One endpoint of the JSON API as data; everything else is derived from it. */
export interface Endpoint<
  Input extends z.ZodType = z.ZodType,
  Output extends z.ZodType = z.ZodType,
> {
  /** A second method is answered too where old clients use it; the first one is the client's. */
  method: Method | readonly [Method, ...Method[]]
  /** Path below `/api/<version>`; `:name` matches one segment and joins the input. */
  path: `/${string}`
  /** `millrace-1.0` is for what MLflow does not have. */
  version?: '2.0' | '3.0' | 'millrace-1.0'
  /** `ui`: mounted under `ajax-api` only, as upstream does for routes of its own pages. */
  audience?: 'everyone' | 'ui'
  summary: string
  access: Access
  /**
   * `write` handlers run inside one transaction that is durable before the answer is sent;
   * `artifacts` handlers change files, which the store itself makes durable.
   */
  effect: 'read' | 'write' | 'artifacts'
  /** Done twice it makes two things; a client that never saw the answer is told it on its retry. */
  makesNew?: true
  /** Read from a replica of the database where there is one: what was just written may be missing. */
  mayLag?: true
  input: Input
  output: Output
}

/** An endpoint whose request or response body is a stream of bytes. */
export interface StreamEndpoint<Input extends z.ZodType = z.ZodType> {
  method: Method
  /** Path from the root; `*` at the end matches the remainder and joins the input as `path`. */
  path: `/${string}`
  /** Where it is mounted: below both API prefixes, below `ajax-api` alone, or at the root. */
  mount: 'api' | 'ajax-api' | 'root'
  version?: '2.0' | '3.0'
  summary: string
  access: Access
  direction: 'upload' | 'download'
  /** Query string and path parameters. */
  input: Input
}

export type Group = Record<string, Endpoint>
export type StreamGroup = Record<string, StreamEndpoint>

/** Declares an endpoint and keeps the exact types of its schemas. */
export function endpoint<Input extends z.ZodType, Output extends z.ZodType>(
  declaration: Endpoint<Input, Output>,
): Endpoint<Input, Output> {
  return declaration
}

/** Declares a streaming endpoint and keeps the exact type of its input. */
export function streamEndpoint<Input extends z.ZodType>(
  declaration: StreamEndpoint<Input>,
): StreamEndpoint<Input> {
  return declaration
}

/** The method the TypeScript client uses. */
export function clientMethod(declared: Endpoint['method']): Method {
  return typeof declared === 'string' ? declared : declared[0]
}
