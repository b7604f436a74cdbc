import { ApiError, type ErrorCode } from '@millrace/api/errors'
import type { Client } from '@millrace/client/client'
import type { Random } from './seeded-random.ts'

interface Point {
  step: number
  timestamp: number
  value: number
}

interface ModelRun {
  id: string
  name: string
  isFinished: boolean
  isDeleted: boolean
  params: Map<string, string>
  tags: Map<string, string>
  metrics: Map<string, Point[]>
}

interface ModelVersion {
  stage: string
  description: string
  tags: Map<string, string>
}

type Answer = 'ok' | ErrorCode

/**
 * Does random things to an experiment, its runs and a registered model of its own, and to a plain
 * model of them in memory that says what the server should answer and hold. Everything it shares
 * with other writers, such as names of metrics and the groups that are committed, must not show.
 */
export class ModelWriter {
  readonly divergences: string[] = []
  readonly sharedVersions: number[] = []
  readonly #client: Client
  readonly #random: Random
  readonly #name: string
  readonly #experimentTags = new Map<string, string>()
  readonly #runs: ModelRun[] = []
  readonly #versions = new Map<number, ModelVersion>()
  readonly #aliases = new Map<string, number>()
  #experiment = ''
  #isDeleted = false
  #modelName: string
  #lastVersion = 0
  #count = 0

  constructor(client: Client, random: Random, name: string) {
    this.#client = client
    this.#random = random
    this.#name = name
    this.#modelName = `${name}-model`
  }

  async begin(): Promise<void> {
    const { experiment_id } = await this.#client.experiments.create({ name: this.#name })
    this.#experiment = experiment_id
    await this.#client.registeredModels.create({ name: this.#modelName })
    await this.#createRun()
  }

  /** One random write, and now and then a look at everything. */
  async step(): Promise<void> {
    const random = this.#random
    const writes = [
      ...Array.from({ length: 4 }, () => () => this.#logBatch(random.pick(this.#runs))),
      ...Array.from({ length: 3 }, () => () => this.#logMetric(random.pick(this.#runs))),
      () => this.#logParam(random.pick(this.#runs)),
      () => this.#setTag(random.pick(this.#runs)),
      () => this.#deleteTag(random.pick(this.#runs)),
      () => this.#update(random.pick(this.#runs)),
      () => this.#moveRun(random.pick(this.#runs)),
      () => (this.#runs.length < 12 ? this.#createRun() : this.#logMetric(random.pick(this.#runs))),
      () => this.#tagExperiment(),
      () => (random.chance(0.3) ? this.#moveExperiment() : this.#logBatch(random.pick(this.#runs))),
      () => this.#createVersion(),
      () => this.#changeVersion(),
      () => this.#changeAlias(),
      () => (random.chance(0.3) ? this.#rename() : this.#shareVersion()),
    ]
    await random.pick(writes)()
    if (random.chance(0.1)) await this.#compareRun(random.pick(this.#runs))
    if (random.chance(0.03)) await this.compareAll()
  }

  async compareAll(): Promise<void> {
    for (const run of this.#runs) await this.#compareRun(run)
    await this.#compareSearch()
    await this.#compareExperiment()
    await this.#compareModel()
  }

  async #expect(what: string, expected: Answer, call: Promise<unknown>): Promise<void> {
    const answer = await call.then(
      () => 'ok' as const,
      (error: unknown) => {
        if (error instanceof ApiError) return error.code
        throw error
      },
    )
    if (answer !== expected) this.#diverge(`${what} answered ${answer} instead of ${expected}`)
  }

  #diverge(what: string): void {
    this.divergences.push(`${this.#name} after ${this.#count} writes: ${what}`)
  }

  #compare(what: string, found: unknown, expected: unknown): void {
    const [a, b] = [JSON.stringify(found), JSON.stringify(expected)]
    if (a !== b) this.#diverge(`${what} is ${a} instead of ${b}`)
  }

  async #createRun(): Promise<void> {
    const name = `${this.#name}-run-${this.#count++}`
    const call = this.#client.runs.create({ experiment_id: this.#experiment, run_name: name })
    await this.#expect('runs/create', this.#isDeleted ? 'INVALID_PARAMETER_VALUE' : 'ok', call)
    if (this.#isDeleted) return
    const { run } = await call
    const tags = new Map([['mlflow.runName', name]])
    const maps = { params: new Map(), tags, metrics: new Map() }
    this.#runs.push({ id: run.info.run_id, name, isFinished: false, isDeleted: false, ...maps })
  }

  #point(): { key: string } & Point {
    const random = this.#random
    // A new name now and then, which only a write that is not refused may leave behind.
    const key = random.chance(0.1) ? `only-${this.#name}-${this.#count++}` : `m${random.below(4)}`
    return { key, step: random.below(30) - 3, timestamp: random.below(3), value: random.below(5) }
  }

  #keep(run: ModelRun, { key, ...point }: { key: string } & Point): void {
    const points = run.metrics.get(key) ?? []
    run.metrics.set(key, points)
    if (!points.some((each) => JSON.stringify(each) === JSON.stringify(point))) points.push(point)
  }

  async #logMetric(run: ModelRun): Promise<void> {
    this.#count++
    const point = this.#point()
    const call = this.#client.runs.logMetric({ run_id: run.id, ...point })
    await this.#expect('log-metric', run.isDeleted ? 'INVALID_PARAMETER_VALUE' : 'ok', call)
    if (!run.isDeleted) this.#keep(run, point)
  }

  async #logBatch(run: ModelRun): Promise<void> {
    const random = this.#random
    this.#count++
    const metrics = Array.from({ length: random.below(6) }, () => this.#point())
    const keys = new Set(Array.from({ length: random.below(3) }, () => `p${random.below(40)}`))
    const params = [...keys].map((key) => ({ key, value: String(random.below(2)) }))
    const tags = Array.from({ length: random.below(3) }, () => this.#tag())
    const isChange = params.some(({ key, value }) => (run.params.get(key) ?? value) !== value)
    const isRefused = run.isDeleted || isChange
    const call = this.#client.runs.logBatch({ run_id: run.id, metrics, params, tags })
    await this.#expect('log-batch', isRefused ? 'INVALID_PARAMETER_VALUE' : 'ok', call)
    if (isRefused) return
    for (const point of metrics) this.#keep(run, point)
    for (const { key, value } of params) run.params.set(key, value)
    for (const { key, value } of tags) run.tags.set(key, value)
  }

  #tag(): { key: string; value: string } {
    return { key: `t${this.#random.below(5)}`, value: this.#random.word(2) }
  }

  async #logParam(run: ModelRun): Promise<void> {
    this.#count++
    const [key, value] = [`p${this.#random.below(40)}`, String(this.#random.below(2))]
    const isRefused = run.isDeleted || (run.params.get(key) ?? value) !== value
    const call = this.#client.runs.logParameter({ run_id: run.id, key, value })
    await this.#expect('log-parameter', isRefused ? 'INVALID_PARAMETER_VALUE' : 'ok', call)
    if (!isRefused) run.params.set(key, value)
  }

  async #setTag(run: ModelRun): Promise<void> {
    this.#count++
    const tag = this.#tag()
    const call = this.#client.runs.setTag({ run_id: run.id, ...tag })
    await this.#expect('set-tag', run.isDeleted ? 'INVALID_PARAMETER_VALUE' : 'ok', call)
    if (!run.isDeleted) run.tags.set(tag.key, tag.value)
  }

  async #deleteTag(run: ModelRun): Promise<void> {
    this.#count++
    const { key } = this.#tag()
    const missing = run.tags.has(key) ? 'ok' : 'RESOURCE_DOES_NOT_EXIST'
    const call = this.#client.runs.deleteTag({ run_id: run.id, key })
    await this.#expect('delete-tag', run.isDeleted ? 'INVALID_PARAMETER_VALUE' : missing, call)
    if (!run.isDeleted) run.tags.delete(key)
  }

  async #update(run: ModelRun): Promise<void> {
    const isFinished = this.#random.chance(0.6)
    const name = `${this.#name}-renamed-${this.#count++}`
    const status = isFinished ? 'FINISHED' : 'RUNNING'
    const call = this.#client.runs.update({ run_id: run.id, status, run_name: name })
    await this.#expect('runs/update', run.isDeleted ? 'INVALID_PARAMETER_VALUE' : 'ok', call)
    if (run.isDeleted) return
    Object.assign(run, { isFinished, name })
    run.tags.set('mlflow.runName', name)
  }

  async #moveRun(run: ModelRun): Promise<void> {
    this.#count++
    run.isDeleted = this.#random.chance(0.4)
    const { runs } = this.#client
    const call = run.isDeleted ? runs.delete({ run_id: run.id }) : runs.restore({ run_id: run.id })
    await this.#expect('moving a run', 'ok', call)
  }

  async #tagExperiment(): Promise<void> {
    this.#count++
    const { key, value } = this.#tag()
    const experiment_id = this.#experiment
    const call = this.#client.experiments.setTag({ experiment_id, key, value })
    const refused = this.#isDeleted ? 'INVALID_PARAMETER_VALUE' : 'ok'
    await this.#expect('set-experiment-tag', refused, call)
    if (!this.#isDeleted) this.#experimentTags.set(key, value)
  }

  async #moveExperiment(): Promise<void> {
    this.#count++
    const toDelete = this.#random.chance(0.4)
    const { experiments } = this.#client
    const experiment_id = this.#experiment
    const call = toDelete
      ? experiments.delete({ experiment_id })
      : experiments.restore({ experiment_id })
    const isMoved = toDelete !== this.#isDeleted
    await this.#expect('moving an experiment', isMoved ? 'ok' : 'RESOURCE_DOES_NOT_EXIST', call)
    if (!isMoved) return
    this.#isDeleted = toDelete
    for (const run of this.#runs) run.isDeleted = toDelete
  }

  async #createVersion(): Promise<void> {
    const description = `d${this.#count++}`
    const name = this.#modelName
    const call = this.#client.modelVersions.create({ name, source: 's3://b/k', description })
    await this.#expect('model-versions/create', 'ok', call)
    this.#versions.set(++this.#lastVersion, { stage: 'None', description, tags: new Map() })
    this.#compare('the new version', (await call).model_version.version, String(this.#lastVersion))
  }

  async #changeVersion(): Promise<void> {
    const random = this.#random
    this.#count++
    const number = 1 + random.below(this.#lastVersion + 1)
    const version = this.#versions.get(number)
    const target = { name: this.#modelName, version: String(number) }
    const answer = version === undefined ? 'RESOURCE_DOES_NOT_EXIST' : 'ok'
    const { modelVersions } = this.#client
    if (random.chance(0.2)) {
      await this.#expect('model-versions/delete', answer, modelVersions.delete(target))
      this.#versions.delete(number)
      for (const [alias, aliased] of this.#aliases)
        if (aliased === number) this.#aliases.delete(alias)
    } else if (random.chance(0.5)) {
      const tag = this.#tag()
      await this.#expect('version tag', answer, modelVersions.setTag({ ...target, ...tag }))
      version?.tags.set(tag.key, tag.value)
    } else {
      const stage = random.pick(['Staging', 'Production'])
      const archive_existing_versions = random.chance(0.5)
      const input = { ...target, stage, archive_existing_versions }
      await this.#expect('transition-stage', answer, modelVersions.transitionStage(input))
      if (version === undefined) return
      for (const other of this.#versions.values()) {
        if (archive_existing_versions && other.stage === stage) other.stage = 'Archived'
      }
      version.stage = stage
    }
  }

  async #changeAlias(): Promise<void> {
    const random = this.#random
    this.#count++
    const [name, alias] = [this.#modelName, `a${random.below(3)}`]
    const { registeredModels } = this.#client
    if (random.chance(0.3)) {
      await this.#expect('alias delete', 'ok', registeredModels.deleteAlias({ name, alias }))
      this.#aliases.delete(alias)
      return
    }
    const number = 1 + random.below(this.#lastVersion + 1)
    const answer = this.#versions.has(number) ? 'ok' : 'RESOURCE_DOES_NOT_EXIST'
    const call = registeredModels.setAlias({ name, alias, version: String(number) })
    await this.#expect('alias', answer, call)
    if (answer === 'ok') this.#aliases.set(alias, number)
  }

  async #rename(): Promise<void> {
    const new_name = `${this.#name}-model-${this.#count++}`
    const call = this.#client.registeredModels.rename({ name: this.#modelName, new_name })
    await this.#expect('rename', 'ok', call)
    this.#modelName = new_name
  }

  /** A version of the model that all writers share. */
  async #shareVersion(): Promise<void> {
    this.#count++
    const { model_version } = await this.#client.modelVersions.create({
      name: 'shared',
      source: 's3://b/k',
    })
    this.sharedVersions.push(Number(model_version.version))
  }

  async #compareRun(run: ModelRun): Promise<void> {
    const { info, data } = (await this.#client.runs.get({ run_id: run.id })).run
    this.#compare(
      'a run',
      [info.run_name, info.status, info.lifecycle_stage, pairs(data.params), pairs(data.tags)],
      [
        run.name,
        run.isFinished ? 'FINISHED' : 'RUNNING',
        run.isDeleted ? 'deleted' : 'active',
        [...run.params].sort(),
        [...run.tags].sort(),
      ],
    )
    const latest = (data.metrics ?? []).map(({ key, step, timestamp, value }) => [
      key,
      step,
      timestamp,
      value,
    ])
    const expected = [...run.metrics].map(([key, points]) => {
      const last = points.toSorted(byStep).at(-1)
      return [key, last?.step, last?.timestamp, last?.value]
    })
    this.#compare('the latest metrics', latest.sort(), expected.sort())
    const [metric_key, points] = this.#random.pick([
      ...run.metrics,
      ['m0', []] as [string, Point[]],
    ])
    if (points.length === 0) return
    const { metrics = [] } = await this.#client.metrics.getHistory({ run_id: run.id, metric_key })
    const found = metrics.map(({ step, timestamp, value }) => ({ step, timestamp, value }))
    const history = points.toSorted((a, b) => a.timestamp - b.timestamp || byStep(a, b))
    this.#compare('the history', found, history)
  }

  async #compareSearch(): Promise<void> {
    const key = `p${this.#random.below(40)}`
    const input = { experiment_ids: [this.#experiment], filter: `params.${key} = '1'` }
    const { runs = [] } = await this.#client.runs.search({ ...input, run_view_type: 'ACTIVE_ONLY' })
    const expected = this.#runs.filter(
      ({ isDeleted, params }) => !isDeleted && params.get(key) === '1',
    )
    this.#compare(
      'a search',
      runs.map(({ info }) => info.run_id).sort(),
      expected.map(({ id }) => id).sort(),
    )
  }

  async #compareExperiment(): Promise<void> {
    const { experiment } = await this.#client.experiments.get({ experiment_id: this.#experiment })
    const found = [experiment.lifecycle_stage, pairs(experiment.tags)]
    const stage = this.#isDeleted ? 'deleted' : 'active'
    this.#compare('the experiment', found, [stage, [...this.#experimentTags].sort()])
  }

  async #compareModel(): Promise<void> {
    const filter = `name = '${this.#modelName}'`
    const { model_versions = [] } = await this.#client.modelVersions.search({ filter })
    const found = model_versions
      .map(
        (each) =>
          [Number(each.version), each.current_stage, each.description, pairs(each.tags)] as const,
      )
      .sort((a, b) => a[0] - b[0])
    const expected = [...this.#versions]
      .map(([number, { stage, description, tags }]) => [
        number,
        stage,
        description,
        [...tags].sort(),
      ])
      .sort((a, b) => Number(a[0]) - Number(b[0]))
    this.#compare('the versions', found, expected)
    const { registered_model } = await this.#client.registeredModels.get({ name: this.#modelName })
    const aliases = (registered_model.aliases ?? []).map(({ alias, version }) => [
      alias,
      Number(version),
    ])
    this.#compare('the aliases', aliases.sort(), [...this.#aliases].sort())
  }
}

function pairs(list: { key: string; value: string }[] = []): string[][] {
  return list.map(({ key, value }) => [key, value]).sort()
}

/** The order that decides which point is the latest. */
function byStep(a: Point, b: Point): number {
  return a.step - b.step || a.timestamp - b.timestamp || a.value - b.value
}
