import { crc32 } from 'node:zlib'
import type { Client } from '@millrace/client/client'
import type { DemoModel } from './demo-models.ts'

/** A metric's points: the value at step `index * stepSize`. */
export interface Curve {
  key: string
  stepSize: number
  values: number[]
}

/** A run as a demo project describes it; the server gives it its id. */
export interface DemoRun {
  name: string
  user: string
  /** Minutes before the present at which the run began, and how long it took. */
  startedMinutesAgo: number
  minutes: number
  status: 'FINISHED' | 'FAILED' | 'KILLED' | 'RUNNING'
  params: Record<string, string | number>
  tags: Record<string, string>
  curves: Curve[]
  artifacts: DemoFile[]
  dataset?: { name: string; rows: number; columns: Record<string, string> }
  children?: DemoRun[]
}

export interface DemoFile {
  path: string
  content: string | Uint8Array
}

export interface DemoProject {
  name: string
  note: string
  tags: Record<string, string>
  runs: DemoRun[]
  model?: DemoModel
}

/** Where a run went: what registering a model from it takes. */
export interface LoggedRun {
  run: DemoRun
  run_id: string
  artifact_uri: string
}

export interface DemoTarget {
  client: Client
  baseUrl: string
  nowMs: number
}

const BATCH = 1000

/** Logs a run, its children and its artifacts. */
export async function logRun(
  target: DemoTarget,
  run: DemoRun,
  place: { experiment_id: string; parent?: string },
): Promise<LoggedRun[]> {
  const { client, nowMs } = target
  const start_time = Math.round(nowMs - run.startedMinutesAgo * 60_000)
  const end_time = Math.round(start_time + run.minutes * 60_000)
  const tags = {
    'mlflow.user': run.user,
    'mlflow.source.type': 'LOCAL',
    ...run.tags,
    ...(place.parent !== undefined && { 'mlflow.parentRunId': place.parent }),
  }
  const created = await client.runs.create({
    experiment_id: place.experiment_id,
    user_id: run.user,
    run_name: run.name,
    start_time,
    tags: keyValues(tags),
  })
  const { run_id, artifact_uri } = created.run.info

  await client.runs.logBatch({ run_id, params: keyValues(run.params) })
  const points = run.curves.flatMap((curve) => pointsOf(curve, start_time, end_time))
  for (let from = 0; from < points.length; from += BATCH) {
    await client.runs.logBatch({ run_id, metrics: points.slice(from, from + BATCH) })
  }
  if (run.dataset) await client.runs.logInputs({ run_id, datasets: [datasetInput(run.dataset)] })
  await Promise.all(run.artifacts.map((file) => upload(target, artifact_uri, file)))

  const logged = [{ run, run_id, artifact_uri }]
  for (const child of run.children ?? []) {
    const below = { experiment_id: place.experiment_id, parent: run_id }
    logged.push(...(await logRun(target, child, below)))
  }
  if (run.status !== 'RUNNING') {
    await client.runs.update({ run_id, status: run.status, end_time })
  }
  return logged
}

export function keyValues(record: Record<string, string | number>) {
  return Object.entries(record).map(([key, value]) => ({ key, value: String(value) }))
}

function pointsOf({ key, stepSize, values }: Curve, startMs: number, endMs: number) {
  return values.map((value, index) => ({
    key,
    // JSON has no NaN; the wire spells it as text.
    value: Number.isNaN(value) ? 'NaN' : value,
    step: index * stepSize,
    timestamp: Math.round(startMs + ((endMs - startMs) * (index + 1)) / values.length),
  }))
}

function datasetInput({ name, rows, columns }: NonNullable<DemoRun['dataset']>) {
  const colspec = Object.entries(columns).map(([column, type]) => ({
    type,
    name: column,
    required: true,
  }))
  return {
    tags: [{ key: 'mlflow.data.context', value: 'training' }],
    dataset: {
      name,
      digest: crc32(`${name} ${rows}`).toString(16).padStart(8, '0'),
      source_type: 'http',
      source: JSON.stringify({ url: `https://data.example.com/${name}.parquet` }),
      schema: JSON.stringify({ mlflow_colspec: colspec }),
      profile: JSON.stringify({ num_rows: rows, num_elements: rows * colspec.length }),
    },
  }
}

/** Uploads through the server's artifact proxy, as a Python client does. */
async function upload({ baseUrl }: DemoTarget, artifact_uri: string, { path, content }: DemoFile) {
  const root = artifact_uri.replace(/^mlflow-artifacts:\/*/, '')
  const place = `${root}/${path}`.split('/').map(encodeURIComponent).join('/')
  const url = `${baseUrl}/api/2.0/mlflow-artifacts/artifacts/${place}`
  const response = await fetch(url, { method: 'PUT', body: content as BodyInit })
  if (!response.ok) throw new Error(`Uploading ${path} answered ${response.status}`)
}
