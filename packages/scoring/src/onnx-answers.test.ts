import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { readModel } from '@millrace/models/mlmodel'
import { describe, expect, test } from 'vitest'
import { numericSignature } from './numeric-signature.ts'
import { answerOnnx } from './onnx-answers.ts'
import { readOnnxFiles } from './onnx-files.ts'
import { loadOnnxModel } from './onnx-model.ts'

type Request = [title: string, contentType: string, body: string]
/** A status, and the body of an answer or the code of a refusal. */
type Recorded = [status: number, what: string]

const folder = fileURLToPath(new URL('../test/onnx/', import.meta.url))
const requests = await recorded<Record<string, Request[]>>('requests.json')
const answers = await recorded<Record<string, Record<string, Recorded>>>('answers.json')

async function recorded<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(`${folder}${file}`, 'utf8')) as T
}

async function open(name: string) {
  const model = await readModel(folder + name)
  const { graph, externalData } = await readOnnxFiles(folder + name, model)
  return loadOnnxModel(graph, externalData, numericSignature(model.signature))
}

describe.each(Object.entries(answers))('the model %s', (name, stock) => {
  const kind = name.split('-')[0] ?? ''
  const asked = requests[kind] ?? requests['two'] ?? []

  test('answers as the stock server, and refuses what that refuses', async () => {
    const model = await open(name)
    const ours: Record<string, Recorded> = {}
    for (const [title, contentType, body] of asked) {
      const answer = await answerOnnx(model, contentType, Buffer.from(body))
      ours[title] = [answer.status, round(summary(answer))]
    }
    expect(ours).toEqual({ ...rounded(stock), ...BETTER[name] })
  })
})

// Where the stock server breaks at a client's mistake.
const BETTER: Record<string, Record<string, Recorded>> = {
  order: { 'inputs in lists': [400, 'BAD_REQUEST'] },
}

/** Processors differ in the last places of a 32-bit float. */
function rounded(answers: Record<string, Recorded>): Record<string, Recorded> {
  const entries = Object.entries(answers)
  return Object.fromEntries(
    entries.map(([title, [status, text]]) => [title, [status, round(text)]]),
  )
}

function round(text: string): string {
  return text.replaceAll(/-?\d+\.\d+(e[-+]\d+)?/g, (number) => Number(number).toPrecision(6))
}

test.each([['zipmap', 'its output output_probability is no tensor']])(
  'the model %s is refused with the reason',
  async (name, reason) => {
    await expect(open(name)).rejects.toThrow(reason)
  },
)

test('the JSON of MLflow 1.x is answered in its own way, with a notice', async () => {
  const model = await open('linear-columns')
  const body = Buffer.from('{"columns":["a","b"],"data":[[0,0]]}')
  const old = await answerOnnx(model, 'application/json; format=pandas-split', body)
  const bare = await answerOnnx(model, 'application/json', body)
  const records = await answerOnnx(model, 'application/json', Buffer.from('[{"a":0,"b":0}]'))
  for (const { status, notice, body: answer } of [old, bare, records]) {
    expect([status, notice !== undefined]).toEqual([200, true])
    expect(round(answer.toString())).toBe('[{"variable": 0.500000}]')
  }
})

/** What the recording holds: answers whole, refusals by their codes. */
function summary(answer: { status: number; contentType: string; body: Buffer }): string {
  const text = answer.body.toString()
  if (answer.status === 200) return text
  if (answer.contentType !== 'application/json') return answer.contentType.split(';')[0] ?? ''
  return (JSON.parse(text) as { error_code: string }).error_code
}
