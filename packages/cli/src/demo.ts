import { ApiError } from '@millrace/api/errors'
import { createClient } from '@millrace/client/client'
import { churnProject } from './demo-churn.ts'
import { demandProject } from './demo-demand.ts'
import { digitsProject } from './demo-digits.ts'
import { languageProject } from './demo-language.ts'
import { registerModel } from './demo-models.ts'
import { type DemoProject, type DemoTarget, keyValues, type LoggedRun, logRun } from './demo-run.ts'

/**
 * Fills a server with a sample project: four experiments with about a hundred runs, their curves
 * and artifacts, and registered models. An experiment that exists is left as it is.
 * @param baseUrl origin and static prefix of the server, without a slash at the end
 */
export async function fillDemo(baseUrl: string): Promise<void> {
  const target = { client: createClient({ baseUrl }), baseUrl, nowMs: Date.now() }
  const projects = [demandProject, churnProject, digitsProject, languageProject]
  await Promise.all(projects.map((project) => fillProject(target, project())))
}

async function fillProject(target: DemoTarget, project: DemoProject): Promise<void> {
  const { experiments } = target.client
  const tags = { ...project.tags, ...(project.note && { 'mlflow.note.content': project.note }) }
  let experiment_id: string
  try {
    const created = await experiments.create({ name: project.name, tags: keyValues(tags) })
    experiment_id = created.experiment_id
  } catch (error) {
    if (error instanceof ApiError && error.code === 'RESOURCE_ALREADY_EXISTS') return
    throw error
  }
  const logged: LoggedRun[] = []
  for (const run of project.runs) logged.push(...(await logRun(target, run, { experiment_id })))
  if (project.model) await registerModel(target, project.model, logged)
}
