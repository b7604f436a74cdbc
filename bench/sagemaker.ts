import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startPlane } from '../packages/sagemaker-local/src/plane.ts'
import { median, quantile } from './statistics.ts'

/**
 * What the local control plane adds to a training job, from CreateTrainingJob to the first line of
 * the user's code, one job at a time; and how soon the next one starts when a place becomes free,
 * with a queue of short jobs (`--jobs 200` is the long form, whose goal is no gap over 100 ms).
 *
 *     node bench/sagemaker.ts [--jobs 20] [--alone 5] [--places 2] [--job-ms 200]
 */

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '20' },
    alone: { type: 'string', default: '5' },
    places: { type: 'string', default: '2' },
    'job-ms': { type: 'string', default: '200' },
  },
})
const places = Number(values.places)
const jobMs = Number(values['job-ms'])
/** It tells its times itself, in the clock that all processes share. */
const TRAIN = `#!/bin/sh
echo began $(date +%s%3N)
sleep ${jobMs / 1000}
echo ended $(date +%s%3N)
`
const GAP_GOAL_MS = 100
const LOOK_MS = 50
const GROUP = '/aws/sagemaker/TrainingJobs'

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const image = join(folder, 'image')
mkdirSync(image)
writeFileSync(join(image, 'train'), TRAIN)
chmodSync(join(image, 'train'), 0o755)
chmodSync(folder, 0o755)
const plane = await startPlane({
  directory: join(folder, 'plane'),
  port: 0,
  places,
  environment: process.env,
})
try {
  await fetch(`${plane.url}/bench`, { method: 'PUT' })
  console.log(`load average ${loadavg()[0]?.toFixed(1)}; times in ms`)
  await measureAlone(Number(values.alone))
  await measureQueue(Number(values.jobs))
  console.log(`load average ${loadavg()[0]?.toFixed(1)}`)
} finally {
  await plane[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
}

async function measureAlone(count: number): Promise<void> {
  const overheads: number[] = []
  // The first one finds nothing compiled.
  for (let index = 0; index <= count; index++) {
    const submittedMs = Date.now()
    await submit(`alone-${index}`)
    const { beganMs } = await timesOf(`alone-${index}`)
    if (index > 0) overheads.push(beganMs - submittedMs)
  }
  console.log(`submit to first line, ${count} jobs one by one: ${spread(overheads)}`)
}

async function measureQueue(count: number): Promise<void> {
  const submittedMs = Date.now()
  for (let index = 0; index < count; index++) await submit(`queued-${index}`)
  const times = []
  for (let index = 0; index < count; index++) times.push(await timesOf(`queued-${index}`))
  const began = times.map(({ beganMs }) => beganMs).toSorted((a, b) => a - b)
  const ended = times.map(({ endedMs }) => endedMs).toSorted((a, b) => a - b)
  // The k-th job takes the place of the one that ended `places` jobs before it.
  const handovers = began.slice(places).map((beganMs, index) => beganMs - (ended[index] ?? 0))
  // Nothing runs from an end to the next begin when as many have begun as have ended.
  const idle = began.slice(1).map((beganMs, index) => beganMs - (ended[index] ?? beganMs))
  const drainedMs = (ended.at(-1) ?? 0) - (began[0] ?? 0)
  const busyMs = times.reduce((sum, { beganMs, endedMs }) => sum + endedMs - beganMs, 0)
  console.log(`queue of ${count} jobs of ${jobMs} ms, ${places} at a time:`)
  console.log(`  first line ${(began[0] ?? 0) - submittedMs} after the first submit`)
  console.log(
    `  drained in ${drainedMs}, of which places were busy ${percent(busyMs, drainedMs * places)}`,
  )
  console.log(`  a place from a job's end to the next one's first line: ${spread(handovers)}`)
  console.log(
    `  over ${GAP_GOAL_MS}: ${handovers.filter((gap) => gap > GAP_GOAL_MS).length} of ${handovers.length}`,
  )
  console.log(`  no job running at all: ${spread(idle.map((gap) => Math.max(0, gap)))}`)
}

function percent(part: number, whole: number): string {
  return `${Math.round((100 * part) / whole)} %`
}

function spread(numbers: number[]): string {
  const quantiles = [0.9, 0.95, 0.99].map((q) => `p${q * 100} ${quantile(numbers, q)}`)
  return `median ${median(numbers)}, ${quantiles.join(', ')}, largest ${Math.max(...numbers)}`
}

async function submit(TrainingJobName: string): Promise<void> {
  await call('SageMaker.CreateTrainingJob', {
    TrainingJobName,
    RoleArn: 'arn:aws:iam::123456789012:role/anybody',
    AlgorithmSpecification: { TrainingImage: `local:${image}`, TrainingInputMode: 'File' },
    OutputDataConfig: { S3OutputPath: 's3://bench/out' },
    ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
    StoppingCondition: { MaxRuntimeInSeconds: 600 },
  })
}

/** When a job's own code began and ended, once it has. */
async function timesOf(name: string): Promise<{ beganMs: number; endedMs: number }> {
  for (;;) {
    const job = await call('SageMaker.DescribeTrainingJob', { TrainingJobName: name })
    if (job['TrainingJobStatus'] === 'Failed') throw new Error(`${name}: ${job['FailureReason']}`)
    if (job['TrainingJobStatus'] === 'Completed') break
    await wait(LOOK_MS)
  }
  const { logStreams } = (await call('Logs_20140328.DescribeLogStreams', {
    logGroupName: GROUP,
    logStreamNamePrefix: `${name}/`,
  })) as { logStreams: { logStreamName: string }[] }
  const { events } = (await call('Logs_20140328.GetLogEvents', {
    logGroupName: GROUP,
    logStreamName: logStreams[0]?.logStreamName,
    startFromHead: true,
  })) as { events: { message: string }[] }
  const told = (word: string) =>
    Number(events.find(({ message }) => message.startsWith(word))?.message.split(' ')[1])
  return { beganMs: told('began'), endedMs: told('ended') }
}

async function call(target: string, input: object): Promise<Record<string, unknown>> {
  const answer = await fetch(plane.url, {
    method: 'POST',
    headers: { 'x-amz-target': target },
    body: JSON.stringify(input),
  })
  const said = (await answer.json()) as Record<string, unknown>
  if (!answer.ok) throw new Error(`${target}: ${JSON.stringify(said)}`)
  return said
}
