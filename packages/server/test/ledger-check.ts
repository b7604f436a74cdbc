import { createHash } from 'node:crypto'
import { ApiError } from '@millrace/api/errors'
import type { Client } from '@millrace/client/client'
import type { Ledger, Outcome, RunLedger } from './logging-clients.ts'

/**
 * Compares what the server has with what it acknowledged: every difference as one line, none when
 * nothing was lost, doubled or half done.
 */
export async function findDifferences(client: Client, url: string, ledger: Ledger) {
  const wrong = [...ledger.faults]
  const names = await listRunNames(client, ledger.experiment_id)
  const unknown = ledger.unknownRuns.filter((name) => (names.get(name) ?? 0) > 1)
  wrong.push(...unknown.map((name) => `${name} was created ${names.get(name)} times`))
  for (const run of ledger.runs) {
    const count = names.get(run.run_name) ?? 0
    if (count !== 1) wrong.push(`${run.run_name} is there ${count} times`)
    const found = await findRunDifferences(client, url, ledger.experiment_id, run)
    wrong.push(...found.map((difference) => `${run.run_name}: ${difference}`))
  }
  wrong.push(...(await findModelDifferences(client, ledger)))
  return wrong
}

async function listRunNames(client: Client, experiment_id: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  let page_token: string | undefined
  do {
    const input = { experiment_ids: [experiment_id], max_results: 5000 }
    const page = await client.runs.search(page_token ? { ...input, page_token } : input)
    for (const { info } of page.runs ?? []) {
      counts.set(info.run_name, (counts.get(info.run_name) ?? 0) + 1)
    }
    page_token = page.next_page_token
  } while (page_token !== undefined)
  return counts
}

async function findRunDifferences(client: Client, url: string, experiment: string, run: RunLedger) {
  const { run_id, points, batches, progress, artifacts, finished } = run
  const { info, data } = (await client.runs.get({ run_id })).run
  const wrong: string[] = []
  if (info.run_name !== run.run_name) wrong.push(`is called ${info.run_name}`)
  if (finished === 'stored' && info.status !== 'FINISHED') wrong.push(`is ${info.status}`)
  if (finished === undefined && info.status !== 'RUNNING') wrong.push(`is ${info.status}`)

  const loss = await readSteps(client, run_id, 'loss')
  wrong.push(...compareSteps('loss', points, loss))
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((key) => readSteps(client, run_id, key)))
  for (const [key, steps = []] of Object.entries({ a, b, c })) {
    wrong.push(...compareSteps(key, batches, steps))
  }
  const params = new Map(data.params?.map(({ key, value }) => [key, value]))
  const tags = new Map(data.tags?.map(({ key, value }) => [key, value]))
  for (const [step, outcome] of batches) {
    const there = [a, b, c].map((steps) => steps?.includes(step))
    there.push(
      params.get(`param-${step}`) === String(step),
      tags.get(`tag-${step}`) === String(step),
    )
    if (new Set(there).size > 1) wrong.push(`half of batch ${step} is there: ${there.join()}`)
    else if (outcome === 'stored' && !there[0]) wrong.push(`batch ${step} is lost`)
  }
  if (!possibleValues(progress).has(tags.get('progress'))) {
    wrong.push(`progress is ${tags.get('progress')} after ${JSON.stringify(progress.slice(-3))}`)
  }

  for (const [key, steps] of Object.entries({ loss, a, b, c })) {
    const latest = data.metrics?.find((metric) => metric.key === key)
    const last = steps === undefined || steps.length === 0 ? undefined : Math.max(...steps)
    if (latest?.step !== last || latest?.value !== last) {
      wrong.push(`the latest ${key} is ${JSON.stringify(latest)}, its last step ${last}`)
    }
  }
  for (const [path, [sha256, outcome]] of artifacts) {
    const difference = await compareArtifact(
      url,
      `${experiment}/${run_id}/artifacts/${path}`,
      sha256,
    )
    if (difference === 'is missing' && outcome === 'unknown') continue
    if (difference !== undefined) wrong.push(`${path} ${difference}`)
  }
  return wrong
}

async function readSteps(client: Client, run_id: string, metric_key: string): Promise<number[]> {
  const { metrics = [] } = await client.metrics.getHistory({ run_id, metric_key })
  return metrics.filter(({ step, value }) => step === value).map(({ step }) => Number(step))
}

function compareSteps(key: string, told: Map<number, Outcome>, steps: number[]): string[] {
  const wrong: string[] = []
  const found = new Set(steps)
  if (found.size !== steps.length) wrong.push(`${key} has doubled points`)
  const lost = [...told].filter(([step, outcome]) => outcome === 'stored' && !found.has(step))
  if (lost.length > 0) wrong.push(`${key} lost ${lost.length} of ${told.size}: ${lost.join(' ')}`)
  const made = steps.filter((step) => !told.has(step))
  if (made.length > 0) wrong.push(`${key} has points nobody logged: ${made.join()}`)
  return wrong
}

/** The last value that was stored, or any that was sent after it. */
function possibleValues(sent: [value: number, outcome: Outcome][]): Set<string | undefined> {
  const lastStored = sent.findLastIndex(([, outcome]) => outcome === 'stored')
  const later = sent.slice(Math.max(lastStored, 0)).map(([value]) => String(value))
  return new Set(lastStored < 0 ? [undefined, ...later] : later)
}

async function compareArtifact(url: string, path: string, sha256: string) {
  const response = await fetch(`${url}/api/2.0/mlflow-artifacts/artifacts/${path}`)
  const body = Buffer.from(await response.arrayBuffer())
  if (response.status === 404) return 'is missing'
  if (response.status !== 200) return `is answered ${response.status}`
  const found = createHash('sha256').update(body).digest('hex')
  return found === sha256 ? undefined : `has ${body.length} bytes of something else`
}

async function findModelDifferences(client: Client, { model, versions, models }: Ledger) {
  const wrong: string[] = []
  const found = new Map<string, string[]>()
  const filter = `name = '${model}'`
  const { model_versions = [] } = await client.modelVersions.search({ filter })
  for (const { description = '', version } of model_versions) {
    found.set(description, [...(found.get(description) ?? []), version])
  }
  for (const [description, version] of versions) {
    const there = found.get(description) ?? []
    if (there.length > 1) wrong.push(`${description} is there ${there.length} times`)
    if (version !== undefined && there[0] !== version) {
      wrong.push(`${description} is ${there.join() || 'lost'} instead of ${version}`)
    }
  }
  for (const [name, outcome] of models) {
    const tags = await client.registeredModels.get({ name }).then(
      ({ registered_model }) => registered_model.tags,
      (error: unknown) => {
        if (error instanceof ApiError && error.code === 'RESOURCE_DOES_NOT_EXIST') return undefined
        throw error
      },
    )
    if (tags === undefined && outcome === 'stored') wrong.push(`${name} is lost`)
    if (tags !== undefined && tags.length !== 1) wrong.push(`${name} has ${tags.length} tags`)
  }
  return wrong
}
