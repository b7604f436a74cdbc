import { afterEach, describe, expect, test, vi } from 'vitest'
import { type PoolOptions, WorkerPool } from './worker-pool.ts'
import type { Answer, RunningWorker, WorkerEvents } from './worker-process.ts'

/** A worker as the pool sees one, which answers when the test says so. */
class FakeWorker implements RunningWorker {
  readonly mlflowVersion = '3.17.2'
  readonly runtime = 'Python 3.11.7'
  readonly received: { id: number; text: string }[] = []
  readonly pid: number
  isEnded = false
  isFrozen = false
  readonly #events: WorkerEvents

  constructor(pid: number, events: WorkerEvents) {
    this.pid = pid
    this.#events = events
  }

  /** What it runs at the moment. */
  get texts(): string[] {
    return this.received.map(({ text }) => text)
  }

  send(id: number, _contentType: string, body: Buffer) {
    this.received.push({ id, text: body.toString() })
  }

  answer(text: string) {
    const index = this.texts.indexOf(text)
    const [request] = this.received.splice(index, 1)
    if (index < 0 || !request) throw new Error(`worker ${this.pid} does not run '${text}'`)
    this.#events.onAnswer(request.id, answerOf(text))
  }

  isResponsive = async () => !this.isFrozen

  close = async () => this.die('ended with 0')

  kill() {
    this.die('was ended by SIGKILL')
  }

  die(reason = 'was ended by SIGSEGV') {
    if (this.isEnded) return
    this.isEnded = true
    this.received.length = 0
    this.#events.onExit(reason)
  }
}

function answerOf(text: string): Answer {
  return { status: 200, contentType: 'application/json', body: Buffer.from(`answer to ${text}`) }
}

let open: WorkerPool | undefined
afterEach(async () => {
  vi.useRealTimers()
  await open?.close()
  open = undefined
})

/** `load` is what a worker does before it is ready; it is told how many have been ready before. */
async function openPool(
  options: Partial<PoolOptions> = {},
  load: (readyBefore: number) => Promise<void> = async () => {},
) {
  vi.useFakeTimers()
  const workers: FakeWorker[] = []
  const pool = await WorkerPool.open({
    workers: 1,
    threads: 3,
    timeoutMs: 60_000,
    queueMax: 100,
    queueBytesMax: 1_000,
    log: () => {},
    start: async (events) => {
      await load(workers.length)
      const worker = new FakeWorker(workers.length + 1, events)
      workers.push(worker)
      return worker
    },
    ...options,
  })
  open = pool
  const ask = async (text: string, signal?: AbortSignal) => {
    const answer = await pool.invoke('application/json', Buffer.from(text), signal)
    return answer === 'timed out' ? answer : answer.body.toString()
  }
  /** Lets what is due happen, and time pass. */
  const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms)
  return { pool, workers, ask, pass }
}

describe('who runs what', () => {
  test('idle workers are used first, one request each', async () => {
    const { workers, ask } = await openPool({ workers: 2 })
    const asked = [ask('one'), ask('two'), ask('three')]

    expect(workers.map(({ texts }) => texts)).toEqual([['one'], ['two']])
    workers[1]?.answer('two')
    expect(workers.map(({ texts }) => texts)).toEqual([['one'], ['three']])
    workers[0]?.answer('one')
    workers[1]?.answer('three')
    expect(await Promise.all(asked)).toEqual(['answer to one', 'answer to two', 'answer to three'])
  })

  test('a request that takes long gets company, up to the number of threads', async () => {
    const { workers, ask, pass } = await openPool()
    const asked = ['one', 'two', 'three', 'four'].map((text) => ask(text))

    await pass(9)
    expect(workers[0]?.texts).toEqual(['one'])
    await pass(2)
    expect(workers[0]?.texts).toEqual(['one', 'two'])
    await pass(1_000)
    expect(workers[0]?.texts).toEqual(['one', 'two', 'three'])
    for (const text of ['three', 'one', 'two', 'four']) workers[0]?.answer(text)
    await Promise.all(asked)
  })

  test('a request whose client has gone is not run', async () => {
    const { workers, ask } = await openPool()
    const left = new AbortController()
    const asked = [ask('one'), ask('two', left.signal), ask('three')]
    left.abort()
    await expect(asked[1]).rejects.toThrow('The client has closed the connection.')

    workers[0]?.answer('one')
    expect(workers[0]?.texts).toEqual(['three'])
    workers[0]?.answer('three')
    await Promise.all([asked[0], asked[2]])
  })
})

describe('what is refused', () => {
  test('a request beyond those that may wait, until one less waits', async () => {
    const { workers, ask } = await openPool({ queueMax: 2 })
    const asked = ['one', 'two', 'three'].map((text) => ask(text))

    await expect(ask('four')).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      retryAfterSeconds: 1,
    })
    workers[0]?.answer('one')
    asked.push(ask('five'))
    for (const text of ['two', 'three', 'five']) workers[0]?.answer(text)
    expect(await Promise.all(asked)).toHaveLength(4)
  })

  test('a request when those that wait hold too many bytes', async () => {
    const { workers, ask } = await openPool({ queueBytesMax: 10 })
    const asked = [ask('one'), ask('x'.repeat(10))]

    await expect(ask('y')).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' })
    workers[0]?.answer('one')
    workers[0]?.answer('x'.repeat(10))
    await Promise.all(asked)
  })
})

describe('a worker that dies', () => {
  test('is replaced, and its requests are answered by others, each alone', async () => {
    const { workers, ask, pass } = await openPool()
    const asked = ['one', 'two', 'three'].map((text) => ask(text))
    await pass(100)
    workers[0]?.die()
    await pass(600)

    expect(workers[1]?.texts).toEqual(['one'])
    await pass(100)
    expect(workers[1]?.texts).toEqual(['one'])
    for (const text of ['one', 'two']) workers[1]?.answer(text)
    asked.push(ask('four'))
    await pass(100)
    expect(workers[1]?.texts).toEqual(['three'])
    for (const text of ['three', 'four']) workers[1]?.answer(text)
    expect(await Promise.all(asked)).toHaveLength(4)
  })

  test('fails the one request that kills it, and none of its neighbours', async () => {
    const { workers, ask, pass } = await openPool()
    const poison = ask('poison')
    const neighbour = ask('neighbour')
    poison.catch(() => {})
    await pass(100)
    workers[0]?.die()
    await pass(600)
    expect(workers[1]?.texts).toEqual(['poison'])
    workers[1]?.die()
    await pass(5_000)

    await expect(poison).rejects.toMatchObject({
      code: 'INTERNAL_ERROR',
      message: expect.stringContaining('was ended by SIGSEGV'),
    })
    workers[2]?.answer('neighbour')
    expect(await neighbour).toBe('answer to neighbour')
  })

  test('leaves no worker to tell the version of until the next is ready', async () => {
    const { pool, workers, pass } = await openPool()
    workers[0]?.die()
    expect(pool.versions).toBeUndefined()
    await pass(600)

    expect(pool.versions).toEqual({ mlflow: '3.17.2', runtime: 'Python 3.11.7' })
  })

  test('is started again until the model can be loaded, ever more slowly', async () => {
    let failures = 0
    const { pool, workers, pass } = await openPool({}, async (readyBefore) => {
      if (readyBefore === 0 || failures === 3) return
      failures += 1
      throw new Error('out of memory')
    })
    workers[0]?.die()

    await pass(400)
    expect(failures).toBe(0)
    await pass(200)
    expect(failures).toBe(1)
    await pass(8_000)
    expect(failures).toBe(3)
    expect(pool.pids).toEqual([2])
  })
})

describe('a request beyond the time limit', () => {
  test('times out, whether it runs or waits', async () => {
    const { ask, pass } = await openPool({ threads: 1, timeoutMs: 1_000 })
    const asked = [ask('runs'), ask('waits')]
    await pass(1_001)

    expect(await Promise.all(asked)).toEqual(['timed out', 'timed out'])
  })

  test('has its worker replaced, which goes on until its successor is there', async () => {
    let load = () => {}
    const { workers, ask, pass } = await openPool({ timeoutMs: 1_000 }, async (readyBefore) => {
      if (readyBefore > 0) await new Promise<void>((resolve) => (load = resolve))
    })
    const stuck = ask('stuck')
    await pass(1_001)
    expect(await stuck).toBe('timed out')
    const meanwhile = ask('meanwhile')
    expect(workers[0]?.texts).toEqual(['stuck', 'meanwhile'])
    load()
    await pass()
    const later = ask('later')

    expect(workers[1]?.texts).toEqual(['later'])
    expect(workers[0]?.isEnded).toBe(false)
    workers[0]?.answer('meanwhile')
    expect(await meanwhile).toBe('answer to meanwhile')
    expect(workers[0]?.isEnded).toBe(true)
    workers[1]?.answer('later')
    await later
  })

  test('has a worker whose interpreter it holds killed at once, and the neighbours run again', async () => {
    const { workers, ask, pass } = await openPool({ timeoutMs: 1_000 })
    const stuck = ask('stuck')
    await pass(900)
    const neighbour = ask('neighbour')
    if (workers[0]) workers[0].isFrozen = true
    await pass(101)
    expect(await stuck).toBe('timed out')
    expect(workers[0]?.isEnded).toBe(true)
    await pass(600)

    workers[1]?.answer('neighbour')
    expect(await neighbour).toBe('answer to neighbour')
  })
})

describe('the end', () => {
  test('comes after the answers to what has been accepted', async () => {
    const { pool, workers, ask } = await openPool()
    const asked = [ask('one'), ask('two')]
    const closed = pool.close()

    await expect(ask('three')).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' })
    workers[0]?.answer('one')
    expect(workers[0]?.isEnded).toBe(false)
    workers[0]?.answer('two')
    await closed
    expect(workers[0]?.isEnded).toBe(true)
    expect(await Promise.all(asked)).toEqual(['answer to one', 'answer to two'])
  })

  test('a model that cannot be loaded leaves no worker behind', async () => {
    const workers: FakeWorker[] = []
    const opened = WorkerPool.open({
      workers: 2,
      threads: 1,
      timeoutMs: 1,
      queueMax: 1,
      queueBytesMax: 1,
      log: () => {},
      start: async (events) => {
        const worker = new FakeWorker(workers.length + 1, events)
        workers.push(worker)
        if (workers.length === 2) throw new Error('no module named sklearn')
        return worker
      },
    })

    await expect(opened).rejects.toThrow('no module named sklearn')
    expect(workers[0]?.isEnded).toBe(true)
  })
})
