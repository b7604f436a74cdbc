import { createClient } from '@millrace/client/client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningServer, startServer } from '../compat/server.ts'
import { launchBrowser, openPage } from './browser.ts'

let server: RunningServer
let browser: Browser
let page: Page
let client: ReturnType<typeof createClient>
let runUrl: string
let run_id: string

beforeAll(async () => {
  ;[server, browser] = await Promise.all([startServer('millrace'), launchBrowser()])
  client = createClient({ baseUrl: server.url })
  const { experiment_id } = await client.experiments.create({ name: 'workbench' })
  const { run } = await client.runs.create({ experiment_id, run_name: 'first', start_time: 1000 })
  run_id = run.info.run_id
  runUrl = `${server.url}/experiments/${experiment_id}/runs/${run_id}`
  await client.registeredModels.create({ name: 'press' })
  const source = `${run.info.artifact_uri}/model`
  for (let version = 1; version <= 2; version++) {
    await client.modelVersions.create({ name: 'press', source, run_id })
  }
  ;({ page } = await openPage(browser))
})

afterAll(async () => {
  await browser?.close()
  await server?.[Symbol.asyncDispose]()
})

const dialog = () => page.getByRole('dialog')

async function choose(menu: string, item: string): Promise<void> {
  await page.getByRole('button', { name: menu }).click()
  await page.getByRole('menuitem', { name: item }).click()
}

describe('experiments', () => {
  test('a new one opens; a name that is taken is refused in the dialog, which keeps it', async () => {
    await page.goto(`${server.url}/experiments`)
    await page.getByRole('button', { name: 'New experiment' }).click()
    await dialog().getByLabel('Name').fill('workbench')
    await dialog().getByRole('button', { name: 'Create' }).click()

    await dialog().getByRole('alert').waitFor()
    expect(await dialog().getByRole('alert').innerText()).toMatch(/workbench.*already exists/)
    expect(await dialog().getByLabel('Name').inputValue()).toBe('workbench')

    await dialog().getByLabel('Name').fill('bench/two')
    await dialog().getByRole('button', { name: 'Create' }).click()
    await page.getByRole('heading', { level: 1, name: 'bench/two' }).waitFor()
    await page.getByRole('heading', { name: 'No runs yet' }).waitFor()
  })

  test('can be renamed, put in the bin and taken out again', async () => {
    await page.goto(`${server.url}/experiments`)
    await choose('Actions for bench/two', 'Rename')
    await dialog().getByLabel('New name').fill('bench/three')
    await page.getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('link', { name: 'bench/three' }).waitFor()

    await choose('Actions for bench/three', 'Delete')
    await page.getByRole('button', { name: 'Delete experiment' }).click()
    await page.getByRole('link', { name: 'bench/three' }).waitFor({ state: 'detached' })

    await page.getByRole('button', { name: 'Deleted' }).click()
    await page.getByRole('link', { name: 'bench/three' }).waitFor()
    await choose('Actions for bench/three', 'Restore')
    await page.getByRole('link', { name: 'bench/three' }).waitFor({ state: 'detached' })
    const { experiment } = await client.experiments.getByName({ experiment_name: 'bench/three' })
    expect(experiment.lifecycle_stage).toBe('active')
  })
})

describe('a run', () => {
  test('takes a note and tags, and gives tags up', async () => {
    await page.goto(runUrl)
    await page.getByRole('button', { name: 'Add a note' }).click()
    await dialog().getByLabel('Markdown').fill('Looks **good**')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('strong').getByText('good').waitFor()

    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog().getByLabel('Key').fill('reviewed')
    await dialog().getByLabel('Value').fill('yes')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('rowheader', { name: 'reviewed' }).waitFor()

    await page.getByRole('button', { name: 'Delete tag reviewed' }).click()
    await page.getByRole('rowheader', { name: 'reviewed' }).waitFor({ state: 'detached' })
    const { run } = await client.runs.get({ run_id })
    expect(run.data.tags?.map(({ key }) => key)).not.toContain('reviewed')
    expect(run.data.tags).toContainEqual({ key: 'mlflow.note.content', value: 'Looks **good**' })
  })

  test('can be renamed, put in the bin and taken out again', async () => {
    await choose('Actions of the run', 'Rename')
    await dialog().getByLabel('New name').fill('renamed')
    await page.getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('heading', { level: 1, name: 'renamed' }).waitFor()

    await choose('Actions of the run', 'Delete')
    await page.getByRole('button', { name: 'Delete run' }).click()
    await page.getByText('deleted', { exact: true }).waitFor()

    await choose('Actions of the run', 'Restore')
    await page.getByText('deleted', { exact: true }).waitFor({ state: 'detached' })
    expect((await client.runs.get({ run_id })).run.info.lifecycle_stage).toBe('active')
  })
})

describe('a registered model', () => {
  test('has its versions given aliases and stages', async () => {
    await page.goto(`${server.url}/models/press`)
    await choose('Actions for version 2', 'Aliases')
    await dialog().getByRole('textbox').fill('@champion, fresh')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('table', { name: 'Versions' }).getByText('@champion').waitFor()

    await choose('Actions for version 2', 'Move to a stage')
    await dialog().getByRole('combobox').selectOption('Production')
    await page.getByRole('button', { name: 'Move' }).click()
    await page.getByRole('table', { name: 'Versions' }).getByText('Production').waitFor()

    const { model_version } = await client.modelVersions.get({ name: 'press', version: '2' })
    expect(model_version.current_stage).toBe('Production')
    expect([...(model_version.aliases ?? [])].sort()).toEqual(['champion', 'fresh'])
  })

  test('keeps its page when it is renamed, and is gone when it is deleted', async () => {
    await page.goto(`${server.url}/models/press`)
    await choose('Actions of the model', 'Rename')
    await dialog().getByLabel('New name').fill('press-2')
    await page.getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('heading', { level: 1, name: 'press-2' }).waitFor()

    await choose('Actions of the model', 'Delete')
    await page.getByRole('button', { name: 'Delete model' }).click()
    await page.getByRole('heading', { name: 'No model is registered yet' }).waitFor()
  })
})
