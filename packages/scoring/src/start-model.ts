import { invalid } from '@millrace/api/errors'
import { readModel } from '@millrace/models/mlmodel'
import { prepareRuntime, type RuntimeOptions } from './model-runtime.ts'
import type { WorkerSettings } from './worker-process.ts'

type ProgramSettings = Pick<WorkerSettings, 'program' | 'environment'>

/**
 * Starts a model by what the options choose to run it, with `start`, which is called again with
 * Python when the ONNX runtime was to be tried first and cannot take the model.
 *
 * @throws ApiError or Error when nothing that may run it can
 */
export async function startModel<T>(
  directory: string,
  options: RuntimeOptions,
  start: (settings: ProgramSettings) => Promise<T>,
): Promise<T> {
  const { runtime = 'python', environment, signal, log } = options
  if (runtime !== 'python') {
    const { flavors } = await readModel(directory)
    const hasOnnx = flavors['onnx'] !== undefined
    if (!hasOnnx && runtime === 'onnx') {
      const names = Object.keys(flavors).join(', ')
      throw invalid(`The model in ${directory} has no onnx flavor, only: ${names}.`)
    }
    if (hasOnnx) {
      try {
        log('Loading the model in the ONNX format')
        return await start({ program: { kind: 'onnx' }, environment })
      } catch (error) {
        if (runtime === 'onnx' || signal.aborted) throw error
        const reason = error instanceof Error ? error.message : String(error)
        log(`The model is run by Python instead. ${reason}`)
      }
    }
  }
  const { python, environment: variables } = await prepareRuntime(directory, options)
  signal.throwIfAborted()
  log(`Loading the model with ${python}`)
  return start({ program: { kind: 'python', python }, environment: variables })
}
