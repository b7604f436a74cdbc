import { endpointKind } from '../endpoints/endpoint-kind.ts'
import { processingJobKind } from '../processing/processing-job-kind.ts'
import { transformJobKind } from '../transform/transform-job-kind.ts'
import { tuningJobKind } from '../tuning-jobs/tuning-job-kind.ts'
import type { JobKind } from './job-kind.ts'
import { trainingJobKind } from './training/training-job-kind.ts'

/** Every kind of work that the runner knows; a new one is one more line. */
export const jobKinds: JobKind[] = [
  trainingJobKind,
  endpointKind,
  transformJobKind,
  tuningJobKind,
  processingJobKind,
]
