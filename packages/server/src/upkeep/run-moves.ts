import type { Api } from '@millrace/api/api'
import { ApiError, invalid, notFound } from '@millrace/api/errors'
import { COPIED_FROM_TAG } from '@millrace/api/run-moves'
import {
  type ArtifactPath,
  joinArtifactPaths,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import type { ArtifactStore } from '@millrace/artifacts/artifact-store'
import { resolveRoot } from '../artifacts/artifact-root.ts'
import { type Db, lockRow } from '../db/dialect.ts'
import { orderedId } from '../db/ordered-id.ts'
import type { Handlers } from '../handlers.ts'
import { type ExperimentRow, getActiveExperiment } from '../tracking/experiment-store.ts'
import {
  beforeWrite,
  findRun,
  findTag,
  getRun,
  getRunToWrite,
  RUN_NAME_TAG,
  type RunRow,
  toWireInfo,
  upsertTags,
} from '../tracking/run-store.ts'
import { walkFiles } from './artifact-tree.ts'
import { insertCopy, moveRun } from './run-move-store.ts'

export const runMoves: Handlers<Api['runMoves']> = {
  async move({ db }, { run_ids, experiment_id }) {
    const { id: experiment } = await lockExperiment(db, experiment_id)
    const runs = await lockRuns(db, run_ids)
    for (const run of runs.values()) {
      if (run.experiment !== experiment) await moveRun(db, run, experiment)
    }
    const infos = run_ids.flatMap((run_id) => runs.get(run_id) ?? [])
    return { run_infos: infos.map((run) => toWireInfo({ ...run, experiment })) }
  },

  async copy({ db }, { run_id, experiment_id, run_name }) {
    const target = await lockExperiment(db, experiment_id)
    const source = (await lockRuns(db, [run_id])).get(run_id) ?? (await getRun(db, run_id))
    const uuid = orderedId()
    const copy = await insertCopy(db, source, {
      uuid,
      experiment: target.id,
      name: run_name || source.name,
      artifact_uri: `${target.artifact_location.replace(/\/$/, '')}/${uuid}/artifacts`,
    })
    await upsertTags(db, copy, [
      { key: RUN_NAME_TAG, value: copy.name },
      { key: COPIED_FROM_TAG, value: run_id },
    ])
    await beforeWrite(db, copy)
    return { run_info: toWireInfo(copy) }
  },

  async copyArtifacts({ db, settings }, { run_id }) {
    const copy = await getRun(db, run_id)
    const from = await findTag(db, copy.id, COPIED_FROM_TAG)
    if (from === undefined) throw invalid(`Run ${run_id} is not a copy of another run.`)
    const source = await findRun(db, from)
    if (source === undefined) {
      throw notFound(`Run with id=${from} not found, which run ${run_id} is a copy of`)
    }
    const here = resolveRoot(source.artifact_uri, settings)
    const there = resolveRoot(copy.artifact_uri, settings)
    const done = { files: 0, bytes: 0, copied: 0 }
    for await (const { path } of walkFiles(here.store, here.base)) {
      const below = parseArtifactPath(path.slice(here.base.length).join('/'))
      const target = joinArtifactPaths(there.base, below)
      done.files++
      // A store shows whole files only, so one that is there needs no second copy.
      if (await isThere(there.store, target)) continue
      const { body, sizeBytes } = await here.store.open(path)
      await there.store.write(target, body, { sizeBytes })
      done.copied++
      done.bytes += sizeBytes
    }
    return done
  },
}

/** An active experiment, which cannot be deleted or purged before this transaction ends. */
async function lockExperiment(db: Db, experiment_id: string): Promise<ExperimentRow> {
  const { id } = await getActiveExperiment(db, experiment_id)
  await lockRow(db, 'experiment', id)
  return getActiveExperiment(db, experiment_id)
}

/** Runs that are to be written to, locked in an order that is the same for everybody. */
async function lockRuns(db: Db, run_ids: readonly string[]): Promise<Map<string, RunRow>> {
  const found = new Map<string, RunRow>()
  for (const run_id of new Set(run_ids)) found.set(run_id, await getRun(db, run_id))
  for (const { id } of [...found.values()].sort((a, b) => a.id - b.id)) {
    await lockRow(db, 'run', id)
  }
  for (const run_id of found.keys()) found.set(run_id, await getRunToWrite(db, run_id))
  return found
}

async function isThere(store: ArtifactStore, path: ArtifactPath): Promise<boolean> {
  try {
    await store.stat(path)
    return true
  } catch (error) {
    if (error instanceof ApiError && error.code === 'RESOURCE_DOES_NOT_EXIST') return false
    throw error
  }
}
