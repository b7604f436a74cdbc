import { invalid } from '@millrace/api/errors'
import { checkLength } from './limits.ts'
import type { DatasetInput } from './run-input-store.ts'

const DATASETS_MAX = 1000
const LENGTHS = { name: 500, digest: 36, source: 65_535, schema: 1_048_575, profile: 16_777_215 }
const TAG_LENGTHS = { key: 255, value: 500 }

/** Refuses datasets that MLflow would refuse (3.17 `_validate_dataset_inputs`). */
export function checkDatasets(inputs: readonly DatasetInput[]): void {
  checkCount(inputs.length)
  for (const { dataset, tags = [] } of inputs) {
    for (const [name, max] of Object.entries(LENGTHS)) {
      checkLength(name, max, dataset[name as keyof typeof LENGTHS] ?? '')
    }
    for (const tag of tags) {
      checkLength('key', TAG_LENGTHS.key, tag.key)
      checkLength('value', TAG_LENGTHS.value, tag.value)
    }
  }
}

function checkCount(count: number): void {
  if (count > DATASETS_MAX) throw tooMany(count)
}

function tooMany(count: number) {
  return invalid(`A request can log at most ${DATASETS_MAX} datasets. Got ${count} datasets.`)
}
