import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import type { Model } from '@millrace/models/mlmodel'

/** A graph and the files that hold the weights it does not hold itself. */
export interface OnnxFiles {
  graph: Uint8Array
  externalData: { path: string; data: Uint8Array }[]
}

// The runtime has 4 GiB in all, and a file is in it twice while it is being read.
const BYTES_MAX = 2 ** 30

/**
 * Reads a model's files in the ONNX format.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when it has none, or ones that cannot be read here
 */
export async function readOnnxFiles(directory: string, model: Model): Promise<OnnxFiles> {
  const flavor = model.flavors['onnx']
  if (!flavor) throw invalid('it has no onnx flavor')
  const name = flavor['data']
  if (typeof name !== 'string' || !isPlainPath(name)) {
    throw invalid(`its onnx flavor names no file of the model: ${JSON.stringify(name)}`)
  }
  const file = join(directory, name)
  let bytesLeft = BYTES_MAX
  const read = async (path: string) => {
    const { size } = await stat(path)
    bytesLeft -= size
    if (bytesLeft < 0) throw invalid(`its files have more than ${BYTES_MAX} bytes`)
    return readFile(path)
  }
  const graph = await read(file)
  const externalData: OnnxFiles['externalData'] = []
  for (const path of externalFiles(graph)) {
    if (!isPlainPath(path)) throw invalid(`its weights are not below the model: ${path}`)
    externalData.push({ path, data: await read(join(dirname(file), path)) })
  }
  return { graph, externalData }
}

function isPlainPath(path: string): boolean {
  return path.split('/').every((part) => /^[^\\\0]+$/.test(part) && part !== '.' && part !== '..')
}

// Field numbers of onnx.proto: where graphs are, and the tensors that they begin with.
const MODEL_GRAPH = 7
const GRAPH_NODE = 1
const GRAPH_INITIALIZER = 5
const NODE_ATTRIBUTE = 5
const ATTRIBUTE_GRAPHS = [6, 11]
const TENSOR_EXTERNAL = 13
const ENTRY_KEY = 1
const ENTRY_VALUE = 2
const DEPTH_MAX = 50

/**
 * The files that a graph's weights are in, as `onnx.save_model(save_as_external_data=True)`, MLflow's
 * default, leaves them.
 */
export function externalFiles(model: Uint8Array): Set<string> {
  const files = new Set<string>()
  const text = new TextDecoder()
  const readGraph = (graph: Uint8Array, depth: number): void => {
    if (depth > DEPTH_MAX) throw invalid('its graphs are nested too deep')
    for (const [field, value] of protoFields(graph)) {
      if (field === GRAPH_INITIALIZER) readTensor(value)
      if (field !== GRAPH_NODE) continue
      for (const [, attribute] of only(value, [NODE_ATTRIBUTE])) {
        for (const [, inner] of only(attribute, ATTRIBUTE_GRAPHS)) readGraph(inner, depth + 1)
      }
    }
  }
  const readTensor = (tensor: Uint8Array): void => {
    for (const [, entry] of only(tensor, [TENSOR_EXTERNAL])) {
      const pair = new Map(protoFields(entry))
      if (text.decode(pair.get(ENTRY_KEY)) === 'location') {
        files.add(text.decode(pair.get(ENTRY_VALUE)))
      }
    }
  }
  for (const [, graph] of only(model, [MODEL_GRAPH])) readGraph(graph, 0)
  return files
}

function* only(message: Uint8Array, fields: number[]): Generator<[number, Uint8Array]> {
  for (const entry of protoFields(message)) if (fields.includes(entry[0])) yield entry
}

/** The fields of a protobuf message that have bytes of their own: messages and texts. */
function* protoFields(message: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0
  const varint = () => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at]
      if (byte === undefined || scale > 2 ** 63) throw invalid('its file is not in the ONNX format')
      at += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const wire = tag % 8
    if (wire === 2) {
      const length = varint()
      if (at + length > message.length) throw invalid('its file is not in the ONNX format')
      yield [Math.floor(tag / 8), message.subarray(at, at + length)]
      at += length
    } else if (wire === 0) varint()
    else if (wire === 1) at += 8
    else if (wire === 5) at += 4
    else throw invalid('its file is not in the ONNX format')
  }
}
