import type { Socket } from 'node:net'

/** Where a create came from, and what tells it from every other one. */
export interface CreateRequest {
  /** The same for the same request sent again. */
  key: string
  socket: Socket
  /** Whether the request holds the moment at which it was made, so that no two are alike by chance. */
  isStamped: boolean
}

interface Connection {
  /** Of the last create that came on it. */
  key: string
  isBroken: boolean
}

interface Answer {
  output: Promise<unknown>
  until: number
  /** Whether the client may never have been told. */
  isLost(): boolean
}

/** Longer than a client of MLflow goes on trying. */
const KEPT_MS = 10 * 60_000
const COUNT_MAX = 1000

/**
 * Answers to creates that may not have reached their client. MLflow's clients send a request again
 * when its connection breaks, byte for byte; the second one is then given the first one's answer,
 * also while that is still being made, so that a create is not done twice.
 */
export class UndeliveredAnswers {
  readonly #answers = new Map<string, Answer>()
  readonly #connections = new WeakMap<Socket, Connection>()

  /** What `make` makes, or has made for the same request when it came before. */
  answer(request: CreateRequest, make: () => Promise<unknown>): Promise<unknown> {
    const before = this.#answers.get(request.key)
    const output = before?.isLost() ? before.output.catch(make) : make()
    this.#keep(request, output)
    return output
  }

  #keep({ key, socket, isStamped }: CreateRequest, output: Promise<unknown>): void {
    const connection = this.#connectionOf(socket, key)
    let bytesWhenAnswered: number | undefined
    let leftEarly = false
    const answered = () => {
      leftEarly = isGone(socket)
      bytesWhenAnswered = socket.bytesRead
    }
    output.then(answered, answered)
    const isLost = () => {
      if (leftEarly) return true
      if (bytesWhenAnswered === undefined) return isGone(socket)
      // Whoever asked for something else on the connection had read the answer.
      if (socket.bytesRead !== bytesWhenAnswered) return false
      return connection.isBroken || (isStamped && isGone(socket))
    }
    this.#answers.delete(key)
    this.#answers.set(key, { output, until: Date.now() + KEPT_MS, isLost })
    this.#dropOld()
  }

  /** What came on the connection before has been answered and read. */
  #connectionOf(socket: Socket, key: string): Connection {
    const known = this.#connections.get(socket)
    if (known !== undefined) {
      if (known.key !== key) this.#answers.delete(known.key)
      known.key = key
      return known
    }
    const connection = { key, isBroken: false }
    this.#connections.set(socket, connection)
    socket.once('close', (hadError: boolean) => {
      connection.isBroken = hadError
    })
    return connection
  }

  #dropOld(): void {
    const now = Date.now()
    for (const [key, { until }] of this.#answers) {
      if (until > now && this.#answers.size <= COUNT_MAX) return
      this.#answers.delete(key)
    }
  }
}

function isGone(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded || socket.writableEnded
}
