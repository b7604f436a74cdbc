import type { ModelStage } from '@millrace/api/model-versions'
import { type DemoTarget, keyValues, type LoggedRun } from './demo-run.ts'

/** A registered model of the demo: a version from each of the best runs, the best one last. */
export interface DemoModel {
  name: string
  description: string
  tags: Record<string, string>
  /** The metric that ranks the runs; higher is better. */
  metric: string
  versions: { stage?: ModelStage; alias?: string; description?: string }[]
}

/** Registers a model from the runs that saved one. */
export async function registerModel(
  { client }: DemoTarget,
  model: DemoModel,
  logged: readonly LoggedRun[],
): Promise<void> {
  const { name, description, tags, metric, versions } = model
  await client.registeredModels.create({ name, description, tags: keyValues(tags) })
  const best = logged
    .filter(({ run }) => run.artifacts.some(({ path }) => path === 'model/MLmodel'))
    .sort((a, b) => lastValue(a, metric) - lastValue(b, metric))
    .slice(-versions.length)
  for (const [index, { run, run_id, artifact_uri }] of best.entries()) {
    const { stage, alias, description: note } = versions[index] ?? {}
    const created = await client.modelVersions.create({
      name,
      source: `${artifact_uri}/model`,
      run_id,
      tags: [{ key: 'validated', value: index > 0 ? 'yes' : 'no' }],
      description: note ?? `From ${run.name}.`,
    })
    const { version } = created.model_version
    if (stage) await client.modelVersions.transitionStage({ name, version, stage })
    if (alias) await client.registeredModels.setAlias({ name, alias, version })
  }
}

function lastValue({ run }: LoggedRun, metric: string): number {
  return run.curves.find(({ key }) => key === metric)?.values.at(-1) ?? 0
}
