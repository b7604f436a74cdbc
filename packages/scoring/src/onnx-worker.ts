import { Socket } from 'node:net'
import { readModel } from '@millrace/models/mlmodel'
import { type Frame, FrameReader, frameHead } from './frames.ts'
import { numericSignature } from './numeric-signature.ts'
import { ANSWERS_OF, answerOnnx } from './onnx-answers.ts'
import { readOnnxFiles } from './onnx-files.ts'
import { loadOnnxModel, type OnnxModel } from './onnx-model.ts'
import type { Answer } from './worker-process.ts'

const CHANNEL = 3

/**
 * Answers the scoring requests of one model by its `onnx` flavor, in a process of its own. It speaks
 * as `scoring_worker.py` does over file descriptor 3, and takes one request after the other.
 */
async function main(directory: string): Promise<void> {
  const channel = new Socket({ fd: CHANNEL })
  const send = (header: Record<string, unknown>, body: Buffer = Buffer.alloc(0)) => {
    channel.write(Buffer.concat([frameHead(header, body.length), body]))
  }
  channel.once('close', () => process.exit(0))
  let model: OnnxModel
  try {
    model = await load(directory)
  } catch (error) {
    send({ failed: error instanceof Error ? error.message : String(error) })
    channel.end()
    return
  }
  send({ ready: true, mlflow: ANSWERS_OF, runtime: `ONNX Runtime ${model.version}` })
  const reader = new FrameReader()
  let last = Promise.resolve()
  channel.on('data', (chunk: Buffer) => {
    for (const frame of reader.push(chunk)) {
      if ('ping' in frame.header) send(frame.header)
      else last = last.then(() => reply(frame))
    }
  })
  channel.once('end', () => void last.then(() => channel.end()))

  async function reply({ header, body }: Frame): Promise<void> {
    const { id } = header
    const { status, contentType, body: text, notice } = await answer(String(header['type']), body)
    send({ id, status, type: contentType, ...(notice !== undefined && { notice }) }, text)
  }

  async function answer(contentType: string, body: Buffer): Promise<Answer> {
    try {
      return await answerOnnx(model, contentType, body)
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      const problem = {
        error_code: 'INTERNAL_ERROR',
        message: `The model failed: ${String(error)}`,
      }
      const text = Buffer.from(JSON.stringify(problem))
      return { status: 500, contentType: 'application/json', body: text }
    }
  }
}

async function load(directory: string): Promise<OnnxModel> {
  const model = await readModel(directory)
  const signature = numericSignature(model.signature)
  const { graph, externalData } = await readOnnxFiles(directory, model)
  return loadOnnxModel(graph, externalData, signature)
}

await main(process.argv[2] ?? '')
