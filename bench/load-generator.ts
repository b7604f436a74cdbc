import { connect, type Socket } from 'node:net'
import type { Load, LoadReport } from './load.ts'
import { countFrom, type Template, workloads } from './workloads.ts'

/**
 * The process that makes load. Keep-alive connections with one request under way on each, on plain
 * sockets: Node's HTTP client costs more per request than a fast server, and they share two cores.
 */

/** What is still open this long after the end counts as stuck. */
const STUCK_AFTER_MS = 5000

process.on('message', (load: Load) => {
  run(load).then(
    (report) => process.send?.(report),
    (error: unknown) => {
      throw error
    },
  )
})

async function run(load: Load): Promise<LoadReport> {
  const measureFrom = performance.now() + load.warmupMs
  const until = measureFrom + load.measureMs
  const report: LoadReport = {
    latenciesMs: [],
    inWindow: 0,
    answered: 0,
    stuck: 0,
    errors: {},
    cpuMs: 0,
  }
  const cpu = process.cpuUsage()
  let counter = load.counterStart
  const nextCounter = () => {
    counter += 100
    return counter
  }
  const lanes = Array.from({ length: load.connections }, (_, i) => {
    const workload = workloads[load.workload]
    if (workload === undefined) throw new Error(`no workload '${load.workload}'`)
    return new Lane({
      port: load.port,
      template: workload.request(load.seeds, i),
      nextCounter,
      measureFrom,
      until,
      report,
    })
  })
  const ends = lanes.map((lane) => lane.start())
  const limit = setTimeout(
    () => {
      for (const lane of lanes) lane.giveUp()
    },
    load.warmupMs + load.measureMs + STUCK_AFTER_MS,
  )
  await Promise.all(ends)
  clearTimeout(limit)
  const { user, system } = process.cpuUsage(cpu)
  report.cpuMs = (user + system) / 1000
  return report
}

interface LaneOptions {
  port: number
  template: Template
  nextCounter(): number
  measureFrom: number
  until: number
  report: LoadReport
}

/** One connection that sends its request again as soon as the last one is answered. */
class Lane {
  readonly #options: LaneOptions
  readonly #answer = new AnswerReader()
  #socket: Socket | undefined
  #sentAt = 0
  #isOver = false
  #resolve: () => void = () => {}

  constructor(options: LaneOptions) {
    this.#options = options
  }

  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve
      this.#connect()
    })
  }

  giveUp(): void {
    if (this.#isOver) return
    this.#options.report.stuck += 1
    this.#end()
  }

  #connect(): void {
    const socket = connect({ port: this.#options.port, host: '127.0.0.1', noDelay: true })
    this.#socket = socket
    socket.on('connect', () => this.#send())
    socket.on('data', (chunk) => {
      if (this.#socket !== socket || !this.#answer.read(chunk)) return
      this.#finish(this.#answer.status === 200 ? undefined : `HTTP ${this.#answer.status}`)
    })
    socket.on('error', (error) => this.#lost(socket, error.message))
    socket.on('close', () => this.#lost(socket, 'connection closed'))
  }

  #send(): void {
    const { template, nextCounter } = this.#options
    if (template.counters.length > 0) countFrom(template, nextCounter())
    this.#answer.reset()
    this.#sentAt = performance.now()
    this.#socket?.write(template.bytes)
  }

  #finish(problem: string | undefined): void {
    const { measureFrom, until, report } = this.#options
    const now = performance.now()
    report.answered += 1
    if (this.#sentAt >= measureFrom) {
      if (problem === undefined) report.latenciesMs.push(now - this.#sentAt)
      else report.errors[problem] = (report.errors[problem] ?? 0) + 1
    }
    if (problem === undefined && now >= measureFrom && now <= until) report.inWindow += 1
    if (now >= until) this.#end()
    else if (this.#answer.closes) {
      this.#socket?.destroy()
      this.#connect()
    } else this.#send()
  }

  #lost(socket: Socket, problem: string): void {
    if (this.#isOver || this.#socket !== socket || socket.connecting) return
    const { until, report } = this.#options
    report.errors[problem] = (report.errors[problem] ?? 0) + 1
    if (performance.now() >= until) this.#end()
    else {
      this.#socket = undefined
      setTimeout(() => this.#connect(), 10)
    }
  }

  #end(): void {
    this.#isOver = true
    this.#socket?.destroy()
    this.#resolve()
  }
}

/** Finds the end of one HTTP answer; what it says is not looked at. */
class AnswerReader {
  status = 0
  closes = false
  #head = ''
  #bodyLeft: number | undefined
  #isChunked = false
  #tail = ''

  reset(): void {
    this.status = 0
    this.closes = false
    this.#head = ''
    this.#bodyLeft = undefined
    this.#isChunked = false
    this.#tail = ''
  }

  /** Takes bytes; true once the answer is complete. */
  read(chunk: Buffer): boolean {
    let body = chunk
    if (this.status === 0) {
      const before = this.#head.length
      this.#head += chunk.toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end === -1) return false
      body = chunk.subarray(end + 4 - before)
      this.#readHead(this.#head.slice(0, end).toLowerCase())
    }
    if (this.#isChunked) {
      this.#tail = (this.#tail + body.subarray(-5).toString('latin1')).slice(-5)
      return this.#tail === '0\r\n\r\n'
    }
    this.#bodyLeft = (this.#bodyLeft ?? 0) - body.length
    return this.#bodyLeft <= 0
  }

  #readHead(head: string): void {
    this.status = Number(head.slice(9, 12))
    this.closes = head.includes('\r\nconnection: close')
    this.#isChunked = head.includes('\r\ntransfer-encoding: chunked')
    this.#bodyLeft = Number(/\r\ncontent-length: *(\d+)/.exec(head)?.[1] ?? 0)
  }
}
