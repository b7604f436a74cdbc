/**
 * What the pages about jobs and endpoints are told by the local control plane, as JSON below
 * `/ajax-api/millrace/sagemaker`. Times are in milliseconds since 1970.
 */

/** Header by which the tracking server shows the control plane that a request is from its pages. */
export const PAGES_TOKEN_HEADER = 'x-millrace-pages'
/** Where the control plane answers the pages. */
export const PAGES_PATH = '/.millrace/pages'

/** The MLflow run that a job has made. */
export interface JobRun {
  experimentId: string
  runId: string
}

/** A training, transform or processing job in a list. */
export interface JobRow {
  name: string
  /** In the words of AWS: InProgress, Completed, Failed, Stopping, Stopped. */
  status: string
  /** The part of its work that it is in, where there are parts. */
  phase?: string
  image: string
  createdMs: number
  endedMs?: number
  /** Known when the job has ended. */
  run?: JobRun
  tuningJob?: string
  failureReason?: string
}

export interface JobList {
  jobs: JobRow[]
  nextToken?: string
}

/** A part of a job's work; the last one goes on while it has no end. */
export interface JobPhase {
  name: string
  message: string
  startMs: number
  endMs?: number
}

/** What a metric definition has found in a job's log, in the order of time. */
export interface JobMetric {
  name: string
  timesMs: number[]
  values: number[]
}

export interface JobInput {
  channel: string
  uri: string
  mode?: string
}

/** Everything about a training job but its log. */
export interface TrainingJobDetails extends JobRow {
  arn: string
  phases: JobPhase[]
  hyperParameters: Record<string, string>
  environment: Record<string, string>
  inputs: JobInput[]
  outputUri: string
  /** Where its model is, once it has been uploaded. */
  modelUri?: string
  instanceType: string
  instanceCount: number
  maxRuntimeSeconds: number
  metrics: JobMetric[]
  tags: Record<string, string>
}

export interface TransformJobDetails extends JobRow {
  arn: string
  modelName: string
  version?: ModelVersionLink
  inputs: JobInput[]
  outputUri: string
  instanceType: string
  instanceCount: number
}

export interface ProcessingJobDetails extends JobRow {
  arn: string
  /** What is run, in its words. */
  command: string[]
  environment: Record<string, string>
  inputs: JobInput[]
  /** As inputs, with where each is stored. */
  outputs: JobInput[]
  instanceType: string
  instanceCount: number
  /** What the job has said of itself at its end. */
  exitMessage?: string
}

/** What is changed in a job that is made anew from another one. */
export interface RetryRequest {
  name: string
  hyperParameters?: Record<string, string>
  environment?: Record<string, string>
}

/** A part of a log, and the place from which to read on. */
export interface LogPage {
  /** Every stream that there is: an instance, or a server, each. */
  streams: string[]
  /** The one that the lines are of; absent when there is none yet. */
  stream?: string
  lines: LogLine[]
  next?: string
}

export interface LogLine {
  timeMs: number
  text: string
}

export interface TuningJobRow {
  name: string
  status: string
  strategy: string
  createdMs: number
  endedMs?: number
  /** Trials that have ended well, of how many at most. */
  completed: number
  limit?: number
  objective?: TuningObjective
  best?: number
  failureReason?: string
}

export interface TuningObjective {
  metric: string
  goal: 'Minimize' | 'Maximize'
}

export interface TuningJobList {
  jobs: TuningJobRow[]
  nextToken?: string
}

export interface TuningTrial {
  name: string
  status: string
  parameters: Record<string, string>
  objective?: number
  createdMs: number
  endedMs?: number
  run?: JobRun
  failureReason?: string
}

/** A tuning job with its trials in the order in which they were begun. */
export interface TuningJobDetails extends TuningJobRow {
  arn: string
  bestTrial?: string
  parentRun?: JobRun
  parallel?: number
  trials: TuningTrial[]
}

/** A registered version, as the tags of a SageMaker model name it. */
export interface ModelVersionLink {
  name: string
  version: string
}

export interface EndpointRow {
  name: string
  arn: string
  status: string
  createdMs: number
  modifiedMs: number
  variants: EndpointVariant[]
  failureReason?: string
}

export interface EndpointList {
  endpoints: EndpointRow[]
  nextToken?: string
}

export interface EndpointVariant {
  name: string
  weight: number
  /** Servers that answer, of how many there are to be. */
  ready: number
  wanted: number
  instanceType?: string
  modelName: string
  image: string
  modelUri?: string
  version?: ModelVersionLink
  /** Whether it is of a configuration that is still being started. */
  isNext: boolean
}

export interface EndpointDetails extends EndpointRow {
  configName: string
  calls: CallSummary
  /** What it served before, where that can be served again. */
  previousConfigName?: string
}

/** The configurations that an endpoint can be given, the newest first. */
export interface EndpointConfigList {
  configs: EndpointConfigRow[]
}

export interface EndpointConfigRow {
  name: string
  createdMs: number
  /** What its variants serve. */
  models: { modelName: string; version?: ModelVersionLink }[]
}

/** The calls of an endpoint since the control plane was started, the last thousand at most. */
export interface CallSummary {
  sinceMs: number
  count: number
  errors: number
  /** Of the calls that were answered well, in ms. */
  p50Ms?: number
  p99Ms?: number
  recent: EndpointCall[]
}

export interface EndpointCall {
  timeMs: number
  tookMs: number
  /** 200, or that of the error. */
  status: number
}

export interface InvokeRequest {
  body: string
  contentType: string
  accept?: string
  variant?: string
}

/** What an endpoint has answered to a test; errors are answers too. */
export interface InvokeAnswer {
  status: number
  tookMs: number
  variant?: string
  contentType: string
  body: string
}
