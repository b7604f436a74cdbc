import { parseArgs } from 'node:util'
import { regretOf, TEST_FUNCTIONS } from '../packages/sagemaker-local/test/tuning-functions.ts'
import { median, quantile } from './statistics.ts'

/**
 * How close to the least value of test functions the strategies of a tuning job come with the same
 * number of trials: the median over seeds, with the quarters beside it, and what a suggestion costs.
 *
 *     node bench/tuning.ts [--budget 40] [--seeds 15] [--parallel 2]
 */

const { values } = parseArgs({
  options: {
    budget: { type: 'string', default: '40' },
    seeds: { type: 'string', default: '15' },
    parallel: { type: 'string', default: '2' },
  },
})
const budget = Number(values.budget)
const parallel = Number(values.parallel)
const seeds = Array.from({ length: Number(values.seeds) }, (_, n) => n + 1)

console.log(
  `${budget} trials, ${parallel} at a time, ${seeds.length} seeds; regret, less is better`,
)
console.log('function        strategy     median    lower quarter  upper quarter  ms/suggestion')
for (const target of TEST_FUNCTIONS) {
  for (const strategy of ['Random', 'Bayesian'] as const) {
    const startedMs = performance.now()
    const regrets = seeds.map((seed) => regretOf(target, { strategy, budget, parallel, seed }))
    const eachMs = (performance.now() - startedMs) / seeds.length / budget
    const cells = [median(regrets), quantile(regrets, 0.25), quantile(regrets, 0.75)]
    const numbers = cells.map((cell) => cell.toPrecision(3).padStart(13)).join('  ')
    const name = `${target.name.padEnd(15)} ${strategy.padEnd(9)}`
    console.log(`${name}${numbers}  ${eachMs.toFixed(1).padStart(12)}`)
  }
}
