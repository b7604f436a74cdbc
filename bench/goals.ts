/** How many times the rate of each peer Millrace is to reach (MLflow: its default of 4 workers). */
type Goals = Record<string, number>

const WRITES: Record<number, Goals> = {
  1: { mlflow: 20 },
  8: { mlflow: 40, fasttrackml: 1.5 },
  64: { mlflow: 150, fasttrackml: 3 },
}

const GOALS: Record<string, Record<number, Goals>> = {
  'experiments-get': {
    1: { mlflow: 100, fasttrackml: 1 },
    8: { mlflow: 40, fasttrackml: 1 },
    64: { mlflow: 40, fasttrackml: 1 },
  },
  'runs-get': {
    1: { mlflow: 80, fasttrackml: 1.5 },
    8: { mlflow: 40, fasttrackml: 1.5 },
    64: { mlflow: 30, fasttrackml: 1.5 },
  },
  'runs-create': WRITES,
  'set-tag': WRITES,
  'log-metric': { ...WRITES, 64: { mlflow: 150, fasttrackml: 5 } },
  'log-batch-100': {
    1: { mlflow: 13, fasttrackml: 1 },
    8: { mlflow: 20, fasttrackml: 30 },
    64: { fasttrackml: 30 },
  },
  'log-batch-1000': {
    1: { mlflow: 100 },
    8: { mlflow: 100, fasttrackml: 60 },
    64: { fasttrackml: 60 },
  },
  'search-filter': {
    1: { mlflow: 30, fasttrackml: 4 },
    8: { mlflow: 30, fasttrackml: 4 },
  },
  'search-page-1000': {
    1: { mlflow: 20, fasttrackml: 2 },
    8: { mlflow: 20, fasttrackml: 2 },
  },
  'history-10k': {
    1: { mlflow: 20, fasttrackml: 2.5 },
    8: { mlflow: 20, fasttrackml: 2.5 },
  },
}

/** The goals of a workload at a number of connections, by peer. */
export function goalsOf(workload: string, connections: number): Goals {
  return GOALS[workload]?.[connections] ?? {}
}
