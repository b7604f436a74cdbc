import type { Store } from './store.ts'

/** How many times the rate of each peer Millrace is to reach (MLflow: its default of 4 workers). */
type Goals = Record<string, number>

/** The same number against both servers written in Go. */
const both = (times: number) => ({ fasttrackml: times, 'mlflow-go': times })

const WRITES: Record<number, Goals> = {
  // FastTrackML's answer at one connection promises nothing that a commit costs.
  1: { mlflow: 20, 'mlflow-go': 2.5 },
  8: { mlflow: 40, ...both(1.5) },
  64: { mlflow: 150, ...both(3) },
}

const SERVER_WRITES: Record<number, Goals> = {
  1: { mlflow: 8, ...both(1.5) },
  8: { mlflow: 10, ...both(2) },
  64: { mlflow: 20, ...both(2) },
}

const GOALS: Record<string, Record<number, Goals>> = {
  'experiments-get': {
    1: { mlflow: 100, ...both(1) },
    8: { mlflow: 40, ...both(1) },
    64: { mlflow: 40, ...both(1) },
  },
  'runs-get': {
    1: { mlflow: 80, ...both(1.5) },
    8: { mlflow: 40, ...both(1.5) },
    64: { mlflow: 30, ...both(1.5) },
  },
  'runs-create': WRITES,
  'set-tag': WRITES,
  'log-metric': { ...WRITES, 64: { mlflow: 150, ...both(5) } },
  'log-batch-10': { 1: { mlflow: 13, ...both(1) }, 8: { mlflow: 20, ...both(3.5) } },
  'log-batch-100': {
    1: { mlflow: 13, ...both(1) },
    8: { mlflow: 20, ...both(30) },
    64: both(30),
  },
  'log-batch-1000': {
    1: { mlflow: 100, ...both(20) },
    8: { mlflow: 100, ...both(60) },
    64: both(60),
  },
  'search-filter': {
    1: { mlflow: 30, ...both(4) },
    8: { mlflow: 30, ...both(4) },
  },
  'search-page-1000': {
    1: { mlflow: 20, ...both(2) },
    8: { mlflow: 20, ...both(2) },
  },
  'history-10k': {
    1: { mlflow: 20, ...both(2.5) },
    8: { mlflow: 20, ...both(2.5) },
  },
  'bulk-interval': { 1: { mlflow: 15 }, 8: { mlflow: 15 } },
}

const SINGLE_WRITES = ['runs-create', 'set-tag', 'log-metric']

/** The goals of a workload at a number of connections on a store, by peer. */
export function goalsOf(cell: { workload: string; connections: number; store: Store }): Goals {
  const isServer = cell.store !== 'sqlite'
  const goals =
    isServer && SINGLE_WRITES.includes(cell.workload) ? SERVER_WRITES : GOALS[cell.workload]
  return goals?.[cell.connections] ?? {}
}
