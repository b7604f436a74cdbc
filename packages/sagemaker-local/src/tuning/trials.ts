import type { ParameterSpace, Parameters } from './parameter-space.ts'

export type TuningStrategy = 'Bayesian' | 'Random' | 'Grid' | 'Hyperband'
export type Goal = 'Maximize' | 'Minimize'

/** A training job of this tuning job, or of a parent, as far as a strategy is concerned. */
export interface Trial {
  parameters: Parameters
  status: 'running' | 'succeeded' | 'failed'
  /** The final objective; a succeeded trial without one (or with NaN) counts as failed. */
  objective?: number
}

/** Earlier tuning jobs to learn from. */
export interface WarmStart {
  type: 'IdenticalDataAndAlgorithm' | 'TransferLearning'
  /** The trials of each parent. */
  parents: Trial[][]
}

export interface SuggestionRequest {
  strategy: TuningStrategy
  space: ParameterSpace
  goal: Goal
  /** All trials so far in the order in which they were suggested, running ones too. */
  trials: Trial[]
  /** The same request with the same seed gives the same answer. */
  seed: number
  warmStart?: WarmStart
}
