import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { predictOnce } from '../src/predict-once.ts'
import { type ServeOptions, serveModel } from '../src/serve-model.ts'
import { startModel } from '../src/start-model.ts'

const LIMIT_MS = 300_000
const JSON_TYPE = { 'content-type': 'application/json' }

function directory(name: string): string {
  return fileURLToPath(new URL(`./onnx/${name}`, import.meta.url))
}

function options(name: string, log: (line: string) => void = () => {}): ServeOptions {
  return {
    modelUri: directory(name),
    tracking: undefined,
    host: '127.0.0.1',
    port: 0,
    workers: 1,
    timeoutMs: LIMIT_MS,
    bodyBytesMax: 2 ** 20,
    queueMax: 100,
    onOutput: () => {},
    manager: 'local',
    installMlflow: false,
    runtime: 'onnx',
    // No interpreter is found by these variables.
    environment: { MILLRACE_PYTHON: '/nowhere/python' },
    signal: new AbortController().signal,
    log,
  }
}

test(
  'a model is served without Python, and a worker that dies is replaced',
  async () => {
    await using server = await serveModel(options('order'))
    const ask = async () => {
      const body = '{"dataframe_records":[{"count":2,"price":10.5}]}'
      const answer = await fetch(`${server.url}/invocations`, {
        method: 'POST',
        headers: JSON_TYPE,
        body,
      })
      return [answer.status, answer.headers.get('content-type'), await answer.text()]
    }
    const expected = [200, 'application/json', '{"predictions": [{"total": 21.0, "big": true}]}']
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([expected, expected, expected])
    expect(server.pool.versions?.runtime).toMatch(/^ONNX Runtime 1\.\d+/)

    const [pid = 0] = server.pool.pids
    process.kill(pid, 'SIGKILL')
    expect(await ask()).toEqual(expected)
    expect(server.pool.pids).not.toContain(pid)
  },
  LIMIT_MS,
)

test(
  'a request is answered once, with weights that are in a file of their own',
  async () => {
    const answer = predictOnce({
      ...options('outside'),
      contentType: 'text/csv',
      input: Buffer.from('a,b,c,d,e,f,g,h\n0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n'),
    })
    expect(String(await answer)).toBe('{"predictions": [{"y": 0.0}]}')
  },
  LIMIT_MS,
)

test(
  'what the runtime cannot give is refused with its name, or left to Python',
  async () => {
    await expect(serveModel(options('zipmap'))).rejects.toThrow(
      'its output output_probability is no tensor',
    )
    const lines: string[] = []
    const auto = { ...options('zipmap', (line) => lines.push(line)), runtime: 'auto' as const }
    await expect(serveModel(auto)).rejects.toThrow('MILLRACE_PYTHON is /nowhere/python')
    expect(lines.join('\n')).toContain('The model is run by Python instead. The model could not be')
  },
  LIMIT_MS,
)

test('Python is what runs a model unless something else is asked for', async () => {
  const { runtime: _onnx, ...unsaid } = options('order')
  const start = () => Promise.reject(new Error('started'))
  await expect(startModel(directory('order'), unsaid, start)).rejects.toThrow('MILLRACE_PYTHON')
})
