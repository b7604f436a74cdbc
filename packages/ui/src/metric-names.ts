export type Direction = 'higher' | 'lower'

const LOWER = new Set(
  (
    'loss logloss nll error err rmse mse mae mape smape perplexity ppl latency seconds ms duration time ' +
    'divergence cost regret brier wer cer fid'
  ).split(' '),
)
const HIGHER = new Set(
  (
    'acc accuracy auc auroc auprc f1 precision recall score r2 reward return bleu rouge iou miou map dice ' +
    'throughput gain ndcg mrr hits'
  ).split(' '),
)

/** Which values of a metric are better, as far as its name tells. */
export function directionOf(key: string): Direction | undefined {
  if (/per_(second|sec|s)$/.test(key)) return 'higher'
  // The last word decides: `accuracy_loss` is a loss, `error_score` a score.
  for (const word of wordsOf(key).reverse()) {
    if (LOWER.has(word) || /(loss|error)$/.test(word)) return 'lower'
    if (HIGHER.has(word)) return 'higher'
  }
  return undefined
}

/** What a run is judged by comes first: validation before training, quality before loss. */
export function importanceOf(key: string): number {
  if (isSystemMetric(key)) return -10
  const words = new Set(wordsOf(key))
  const has = (...names: string[]) => names.some((name) => words.has(name))
  const direction = directionOf(key)
  let importance = 0
  if (has('val', 'valid', 'validation', 'eval', 'dev')) importance += 4
  else if (has('test')) importance += 3
  else if (has('train', 'training')) importance -= 1
  if (has('seconds', 'latency', 'duration', 'time', 'second', 'throughput')) importance -= 1
  else if (direction === 'higher') importance += 3
  else if (direction === 'lower') importance += 2
  if (has('best', 'all', 'mean', 'avg', 'overall', 'total')) importance += 0.5
  if (has('lr', 'epoch', 'step', 'grad', 'learning')) importance -= 3
  return importance
}

function wordsOf(key: string): string[] {
  return key
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
}

/** Measurements of the machine that MLflow's clients log by themselves. */
export function isSystemMetric(key: string): boolean {
  return key.startsWith('system/')
}

/** The heading that a metric stands under: what precedes its last slash. */
export function sectionOf(key: string): string {
  const slash = key.lastIndexOf('/')
  return slash > 0 ? key.slice(0, slash) : ''
}

/** The best of some values, or undefined when the name does not tell which is. */
export function bestOf(key: string, values: Iterable<number>): number | undefined {
  const direction = directionOf(key)
  if (direction === undefined) return undefined
  let best: number | undefined
  for (const value of values) {
    if (Number.isNaN(value)) continue
    if (best === undefined || (direction === 'higher' ? value > best : value < best)) best = value
  }
  return best
}
