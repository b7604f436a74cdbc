import type { Readable } from 'node:stream'
import type { Api } from '@millrace/api/api'
import type { Endpoint, Group, StreamGroup } from '@millrace/api/endpoint'
import type { OpenArtifact } from '@millrace/artifacts/artifact-store'
import type { ByteRange } from '@millrace/artifacts/byte-range'
import type { z } from 'zod'
import type { Caller } from './auth/caller.ts'
import type { Settings } from './config.ts'
import type { QuickWrite } from './db/database.ts'
import type { Db } from './db/dialect.ts'

/** What a handler works with; it never sees a request. */
export interface RequestContext {
  /** In a `write` handler a transaction that commits when the handler returns. */
  db: Db
  caller: Caller
  settings: Settings
  /**
   * Runs statements that all see the database as it is at one moment; what was folded before is in
   * it. In a `write` handler it is the transaction itself.
   */
  snapshot<Result>(read: (db: Db) => Promise<Result>): Promise<Result>
  /** Brings the summaries of these runs (`metric_latest`) up to date before they are read. */
  fold(runs: readonly number[]): Promise<void>
}

/** An answer that is JSON text already, for pages too large to build from objects. */
export class JsonText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Output<E extends Endpoint> = Promise<z.input<E['output']> | JsonText>

/** A handler in parts. */
export interface PreparedHandler<Input, Answer> {
  /** Checks and packs the input on the request's thread, off the writer. */
  prepare?(input: Input): unknown
  /** The one statement that mostly does what `run` would; `run` follows where it does nothing. */
  quick?(context: QuickContext, prepared: never): Promise<QuickWrite | undefined>
  run(context: RequestContext, prepared: never): Answer
}

/** Outside of any transaction, so only for looking up what does not change. */
export type QuickContext = Pick<RequestContext, 'db' | 'caller' | 'settings'>

export type Handler<E extends Endpoint> =
  | ((context: RequestContext, input: z.output<E['input']>) => Output<E>)
  | PreparedHandler<z.output<E['input']>, Output<E>>

/** One handler per endpoint of a group; a missing or misspelt one is a type error. */
export type Handlers<G extends Group> = { [Name in keyof G]: Handler<G[Name]> }

/** A handler per group and endpoint of the whole API. */
export type AllHandlers = { [GroupName in keyof Api]: Handlers<Api[GroupName]> }

/** Joins the parts of a handler: `run` and `quick` get what `prepare` made. */
export function prepared<Input, Prepared, Answer>(
  prepare: (input: Input) => Prepared,
  run: (context: RequestContext, prepared: Prepared) => Answer,
  quick?: (context: QuickContext, prepared: Prepared) => Promise<QuickWrite | undefined>,
): PreparedHandler<Input, Answer> {
  return { prepare, run, ...(quick && { quick }) }
}

/** Bytes on their way out. */
export interface Download extends OpenArtifact {
  filename: string
  contentType: string
}

export interface StreamContext extends RequestContext {
  /** Ends when the client goes away. */
  signal: AbortSignal
}

export interface StreamRequest {
  /** The request's body, for uploads. */
  body: Readable
  /** Content-Length, when the client sent one. */
  sizeBytes: number | undefined
  range: ByteRange | undefined
  /** The ETag for which alone the range is meant. */
  ifRange: string | undefined
}

/** One handler per streaming endpoint: a download answers bytes, an upload JSON or nothing. */
export type StreamHandlers<G extends StreamGroup> = {
  [Name in keyof G]: (
    context: StreamContext,
    input: z.output<G[Name]['input']>,
    request: StreamRequest,
  ) => Promise<Download | Record<string, never> | undefined>
}
