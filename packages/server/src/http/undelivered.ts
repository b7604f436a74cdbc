import type { Socket } from 'node:net'

/** Where a create came from, and what tells it from every other one. */
export interface CreateRequest {
  /** The same for the same request sent again; of one without a client's key, asked for rarely. */
  key(): string
  socket: Socket
  /** Whether the request holds the moment at which it was made, so that no two are alike by chance. */
  isStamped: boolean
  /** Whether the client says by a key of its own which requests are one and the same. */
  isKeyed: boolean
}

/** Longer than a client of MLflow goes on trying. */
const KEPT_MS = 10 * 60_000
const COUNT_MAX = 1000
const KEYED_MAX = 10_000

/** Answers for a while, by what tells their requests from others; the oldest go first. */
class Kept<Value> {
  readonly #byKey = new Map<string, { value: Value; until: number }>()
  readonly #countMax: number

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  get size(): number {
    return this.#byKey.size
  }

  get(key: string): Value | undefined {
    return this.#byKey.get(key)?.value
  }

  set(key: string, value: Value): void {
    this.#byKey.delete(key)
    this.#byKey.set(key, { value, until: Date.now() + KEPT_MS })
    const now = Date.now()
    for (const [key, { until }] of this.#byKey) {
      if (until > now && this.#byKey.size <= this.#countMax) return
      this.#byKey.delete(key)
    }
  }

  delete(key: string): void {
    this.#byKey.delete(key)
  }
}

/**
 * Answers to creates that may not have reached their client. MLflow's clients send a request again
 * when its connection breaks, byte for byte; the second one is then given the first one's answer,
 * also while that is still being made, so that a create is not done twice. As long as every
 * connection holds, all that is kept is the last create of each. A client that gives its requests
 * keys gets one answer for each key, whatever became of its connections.
 */
export class UndeliveredAnswers {
  readonly #lastOf = new WeakMap<Socket, Answer>()
  readonly #lost = new Kept<Answer>(COUNT_MAX)
  readonly #keyed = new Kept<Promise<unknown>>(KEYED_MAX)

  /** What `make` makes, or has made for the same request when it came before. */
  answer(request: CreateRequest, make: () => Promise<unknown>): Promise<unknown> {
    if (!request.isKeyed) return this.#answerOnceLost(request, make)
    const key = request.key()
    const output = this.#keyed.get(key)?.catch(make) ?? make()
    this.#keyed.set(key, output)
    return output
  }

  #answerOnceLost(request: CreateRequest, make: () => Promise<unknown>): Promise<unknown> {
    const before = this.#lost.size > 0 ? this.#takeLost(request.key()) : undefined
    const output = before === undefined ? make() : before.output.catch(make)
    const { socket } = request
    if (!this.#lastOf.has(socket)) this.#watch(socket)
    // What came on the connection before has been answered and read.
    this.#lastOf.set(socket, new Answer(request, output))
    return output
  }

  #takeLost(key: string): Answer | undefined {
    const lost = this.#lost.get(key)
    if (lost === undefined) return undefined
    this.#lost.delete(key)
    // Its connection may have ended and not yet closed; it would be kept once more.
    this.#lastOf.delete(lost.request.socket)
    return lost
  }

  #watch(socket: Socket): void {
    socket.once('end', () => this.#keepIfLost(socket, false))
    socket.once('close', (hadError: boolean) => this.#keepIfLost(socket, hadError))
  }

  #keepIfLost(socket: Socket, isBroken: boolean): void {
    const answer = this.#lastOf.get(socket)
    if (answer === undefined || !answer.isLost(isBroken)) return
    this.#lost.set(answer.request.key(), answer)
  }
}

/** What the last create on a connection is given. */
class Answer {
  readonly request: CreateRequest
  readonly output: Promise<unknown>
  #bytesWhenAnswered: number | undefined
  #leftEarly = false

  constructor(request: CreateRequest, output: Promise<unknown>) {
    this.request = request
    this.output = output
    const { socket } = request
    const answered = () => {
      this.#leftEarly = isGone(socket)
      this.#bytesWhenAnswered = socket.bytesRead
    }
    output.then(answered, answered)
  }

  /** Whether the client, whose connection has ended, may never have been told. */
  isLost(isBroken: boolean): boolean {
    if (this.#leftEarly || this.#bytesWhenAnswered === undefined) return true
    const { socket, isStamped } = this.request
    // Whoever asked for something else on the connection had read the answer.
    return socket.bytesRead === this.#bytesWhenAnswered && (isBroken || isStamped)
  }
}

function isGone(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded || socket.writableEnded
}
