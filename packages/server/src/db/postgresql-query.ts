import pg from 'pg'
import type { RawResult } from './pooled-driver.ts'

const INT8 = 20
const NUMERIC = 1700

/** How a column of that type is read from its text. */
export function getTypeParser(oid: number, format?: 'text'): (text: string) => unknown {
  if (oid === INT8) return toInteger
  return oid === NUMERIC ? Number : pg.types.getTypeParser(oid, format)
}

function toInteger(text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

/** The part of the driver's connection that a query talks to. */
interface Wire {
  stream: { writable: boolean; cork(): void; uncork(): void; write(bytes: Buffer): void }
  parsedStatements: Record<string, string | undefined>
  submittedNamedStatements: Record<string, string | undefined>
  parse(message: { text: string; name: string }): void
  describe(message: { type: 'S'; name: string }): void
}

interface Column {
  name: string
  parse: (text: string) => unknown
}

/** The columns of every statement that a connection has described. */
const columnsByWire = new WeakMap<Wire, Map<string, readonly Column[]>>()

function columnsOn(wire: Wire): Map<string, readonly Column[]> {
  let columns = columnsByWire.get(wire)
  if (columns === undefined) {
    columns = new Map()
    columnsByWire.set(wire, columns)
  }
  return columns
}

interface Waiting {
  resolve(result: RawResult): void
  reject(error: unknown): void
}

interface Statement {
  name: string
  text: string
  values: readonly unknown[]
}

/** A parameter as its text, or as bytes. */
function toWire(value: unknown): string | Buffer | null {
  if (value === null || value === undefined) return null
  if (value instanceof Uint8Array) {
    return value instanceof Buffer
      ? value
      : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
  return Array.isArray(value) ? `{${value.map(element).join(',')}}` : String(value)
}

function element(value: string | number): string {
  return typeof value === 'number' ? String(value) : `"${value.replace(/["\\]/g, '\\$&')}"`
}

const EXECUTE_AND_SYNC = Buffer.from([69, 0, 0, 0, 9, 0, 0, 0, 0, 0, 83, 0, 0, 0, 4])

/**
 * The messages Bind, Execute and Sync of PostgreSQL's protocol 3.0 as one piece; the driver writes
 * them one by one, which costs more than making them.
 */
function encodeExecution(name: string, values: readonly (string | Buffer | null)[]): Buffer {
  const sizes = values.map((value) => (value === null ? 0 : Buffer.byteLength(value)))
  const nameSize = Buffer.byteLength(name)
  const length = 12 + nameSize + 6 * values.length + sizes.reduce((sum, size) => sum + size, 0)
  const bytes = Buffer.allocUnsafe(1 + length + EXECUTE_AND_SYNC.length)
  let at = bytes.writeUInt8(66, 0)
  at = bytes.writeInt32BE(length, at)
  at = bytes.writeUInt8(0, at)
  at += bytes.write(name, at)
  at = bytes.writeUInt8(0, at)
  at = bytes.writeInt16BE(values.length, at)
  for (const value of values) at = bytes.writeInt16BE(value instanceof Buffer ? 1 : 0, at)
  at = bytes.writeInt16BE(values.length, at)
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as string | Buffer | null
    at = bytes.writeInt32BE(value === null ? -1 : (sizes[i] as number), at)
    if (typeof value === 'string') at += bytes.write(value, at)
    else if (value !== null) at += value.copy(bytes, at)
  }
  // All columns come as text.
  at = bytes.writeInt16BE(0, at)
  EXECUTE_AND_SYNC.copy(bytes, at)
  return bytes
}

/** What the driver takes for a query: it would refuse any other class on a pipeline. */
const DriverQuery = pg.Query as unknown as new (text: string) => object

/**
 * A prepared statement that a connection describes once, where the driver has it described, and its
 * columns looked up, each time. The server refuses a prepared statement whose columns have changed.
 */
export class PreparedQuery extends DriverQuery {
  readonly name: string
  readonly text: string
  readonly #values: readonly unknown[]
  readonly #rows: unknown[] = []
  #wire: Wire | undefined
  #columns: readonly Column[] = []
  #changes: number | undefined
  #failure: unknown
  /** The driver puts its own around it, to end its timer. */
  callback: (error: unknown, result?: RawResult) => void

  constructor({ name, text, values }: Statement, { resolve, reject }: Waiting) {
    super(text)
    this.name = name
    this.text = text
    this.#values = values
    this.callback = (error, result) => {
      if (error || result === undefined) reject(error)
      else resolve(result)
    }
  }

  submit(wire: Wire): void {
    const { name, text } = this
    const values = this.#values.map(toWire)
    this.#wire = wire
    // The driver fails all that is under way on a connection once it is closed.
    if (!wire.stream.writable) return
    const columns = columnsOn(wire).get(name)
    const execution = encodeExecution(name, values)
    if (columns !== undefined) {
      this.#columns = columns
      wire.stream.write(execution)
      return
    }
    wire.stream.cork()
    const isPrepared =
      wire.parsedStatements[name] !== undefined || wire.submittedNamedStatements[name] !== undefined
    if (!isPrepared) {
      wire.parse({ text, name })
      wire.submittedNamedStatements[name] = text
    }
    wire.describe({ type: 'S', name })
    wire.stream.write(execution)
    wire.stream.uncork()
  }

  handleRowDescription({ fields }: { fields: { name: string; dataTypeID: number }[] }): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({
      name,
      parse: getTypeParser(dataTypeID, 'text'),
    }))
    if (this.#wire) columnsOn(this.#wire).set(this.name, this.#columns)
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    const row: Record<string, unknown> = {}
    try {
      for (let i = 0; i < fields.length; i++) {
        const { name, parse } = this.#columns[i] as Column
        const text = fields[i] as string | null
        row[name] = text === null ? null : parse(text)
      }
      this.#rows.push(row)
    } catch (error) {
      this.#failure = error
    }
  }

  handleCommandComplete({ text }: { text: string }): void {
    const count = /\d+$/.exec(text)?.[0]
    if (count !== undefined) this.#changes = Number(count)
    // What returns nothing is not described by rows.
    if (this.#columns.length === 0 && this.#wire) columnsOn(this.#wire).set(this.name, [])
  }

  handleError(error: unknown): void {
    this.callback(error)
  }

  handleReadyForQuery(): void {
    if (this.#failure !== undefined) this.callback(this.#failure)
    else {
      const changes = this.#changes
      this.callback(null, { rows: this.#rows, ...(changes !== undefined && { changes }) })
    }
  }
}
