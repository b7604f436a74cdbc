import { createClient } from '@millrace/client/client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fillDemo } from '../../packages/cli/src/demo.ts'
import { type RunningServer, startServer } from '../compat/server.ts'
import { launchBrowser, openPage, saveScreenshot } from './browser.ts'

let server: RunningServer
let browser: Browser
let page: Page
let problems: string[]

beforeAll(async () => {
  ;[server, browser] = await Promise.all([startServer('millrace'), launchBrowser()])
  await fillDemo(server.url)
  ;({ page, problems } = await openPage(browser))
})

afterAll(async () => {
  await browser?.close()
  await server?.[Symbol.asyncDispose]()
})

/** The rows of the table with that name, its heading not counted. */
const rows = (table: string) =>
  page
    .getByRole('table', { name: table })
    .getByRole('row')
    .filter({ hasNot: page.getByRole('columnheader') })

describe('a walk through the sample project', () => {
  test('the start page lists the experiments with their last run', async () => {
    await page.goto(server.url)

    await page.getByRole('link', { name: 'digits-classifier' }).waitFor()
    await page.getByRole('link', { name: 'slm-350m-d' }).waitFor()
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Experiments')
    await saveScreenshot(page, 'experiments')
  })

  test('searching by name leaves the experiments that match', async () => {
    await page.getByRole('searchbox', { name: 'Search by name' }).fill('CHURN')

    await page.getByRole('link', { name: 'digits-classifier' }).waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'churn-forecast' }).waitFor()
    expect(page.url()).toContain('name=CHURN')
    await page.getByRole('searchbox', { name: 'Search by name' }).fill('')
  })

  test('an experiment shows the metrics and params that vary, and names the best run', async () => {
    await page.getByRole('link', { name: 'digits-classifier' }).click()

    await page.getByRole('columnheader', { name: /val\/accuracy/ }).waitFor()
    await page.getByRole('columnheader', { name: /^params lr|^lr/ }).waitFor()
    expect(await page.getByRole('columnheader', { name: /epochs/ }).count()).toBe(0)
    const best = page.getByRole('region', { name: 'Best run' })
    expect(await best.innerText()).toMatch(/Best val\/accuracy\s+0\.9\d{3}/)
    await saveScreenshot(page, 'runs')
  })

  test('sorting by a metric puts the best run first and into the address', async () => {
    await page.getByRole('button', { name: 'val/accuracy' }).first().click()

    const best = await page.getByRole('region', { name: 'Best run' }).getByRole('link').innerText()
    await rows('Runs').first().getByRole('link', { name: best }).waitFor()
    expect(page.url()).toContain('sort=-metrics.val%2Faccuracy')
  })

  test('a filter leaves the runs that match', async () => {
    const filter = page.getByRole('textbox', { name: 'Filter runs' })
    await filter.fill("params.model = 'vit-tiny' and params.optimizer = 'sgd'")
    await filter.press('Enter')

    await page.waitForURL(/filter=/)
    const found = await createClient({ baseUrl: server.url }).runs.search({
      experiment_ids: [/experiments\/(\d+)/.exec(page.url())?.[1] ?? ''],
      filter: "params.model = 'vit-tiny' and params.optimizer = 'sgd'",
    })
    const names = (found.runs ?? []).map(({ info }) => info.run_name).sort()
    expect(names.length).toBeGreaterThan(0)
    await page.getByText(`${names.length} runs`, { exact: true }).waitFor()
    expect((await rows('Runs').getByRole('link').allInnerTexts()).sort()).toEqual(names)
  })

  test('a wrong filter is refused at the wrong word, and the runs stay', async () => {
    const before = await rows('Runs').count()
    const filter = page.getByRole('textbox', { name: 'Filter runs' })
    await filter.fill("metrics.loss < 'much'")
    await filter.press('Enter')

    const refusal = page.getByRole('alert').filter({ hasText: /numeric/i })
    await refusal.waitFor()
    expect(await refusal.locator('mark').innerText()).toBe("'much'")
    expect(await rows('Runs').count()).toBe(before)
    await saveScreenshot(page, 'filter-refused')

    await filter.fill('')
    await filter.press('Enter')
    await page.getByText('34 runs', { exact: true }).waitFor()
  })

  test('ticked runs are compared: what differs first, with curves', async () => {
    for (const index of [0, 1, 2]) await rows('Runs').nth(index).getByRole('checkbox').check()
    await page.getByRole('link', { name: 'Compare 3 runs' }).click()

    await page.getByRole('heading', { level: 1, name: 'Compare 3 runs' }).waitFor()
    await page.getByRole('rowheader', { name: /val\/accuracy/ }).waitFor()
    expect(await page.getByRole('rowheader', { name: 'epochs' }).count()).toBe(0)
    await page.getByRole('img', { name: /^val\/accuracy of/ }).waitFor()
    await page.getByRole('button', { name: 'All', exact: true }).click()
    await page.getByRole('rowheader', { name: 'epochs' }).waitFor()
    await saveScreenshot(page, 'compare')
  })

  test('a run shows its curves, params and dataset', async () => {
    await page.getByRole('columnheader').getByRole('link').first().click()

    await page.getByRole('img', { name: /^val\/loss of/ }).waitFor()
    await page.getByRole('rowheader', { name: 'weight_decay' }).waitFor()
    await page.getByText('digits-v3').waitFor()
    await page.getByText('60,000 rows, 3 columns').waitFor()
    await saveScreenshot(page, 'run')
  })

  test('artifacts are listed level by level and previewed', async () => {
    await page.getByRole('link', { name: 'Artifacts' }).click()
    await page.getByRole('button', { name: 'reports' }).click()
    await page.getByRole('button', { name: /confusion_matrix\.png/ }).click()
    const picture = page.getByRole('img', { name: 'reports/confusion_matrix.png' })
    await picture.waitFor()
    const width = await picture.evaluate(async (image: HTMLImageElement) => {
      await image.decode()
      return image.naturalWidth
    })
    expect(width).toBe(360)

    await page.getByRole('button', { name: /predictions\.csv/ }).click()
    await page.getByRole('columnheader', { name: 'confidence' }).waitFor()
    await page.getByRole('button', { name: /report\.md/ }).click()
    await page.getByRole('heading', { name: /^Validation report/ }).waitFor()
    await page.getByRole('button', { name: /per_class\.json/ }).click()
    await page.getByText('[10 items]').waitFor()
    await page.getByRole('button', { name: /config\.yaml/ }).click()
    await page.getByText('cosine').waitFor()
    await page.getByRole('button', { name: /train\.log/ }).click()
    await page.getByText('60000 pictures, 10 classes').waitFor()
    await saveScreenshot(page, 'artifacts')
  })

  test('a model version shows where it came from and what goes in and out', async () => {
    await page
      .getByRole('navigation', { name: 'Main' })
      .getByRole('link', { name: 'Models' })
      .click()
    await page.getByRole('link', { name: 'digits-recognizer' }).click()
    await page.getByRole('table', { name: 'Versions' }).getByText('@champion').waitFor()
    await saveScreenshot(page, 'model')
    await page.getByRole('link', { name: 'Version 4' }).click()

    await page.getByRole('region', { name: 'Inputs' }).getByText('float32 [-1,1,28,28]').waitFor()
    await page.getByRole('button', { name: /MLmodel/ }).waitFor()
    await page.getByRole('complementary').getByRole('link').first().waitFor()
    await saveScreenshot(page, 'version')
  })

  test('filling the sample project again changes nothing', async () => {
    const client = createClient({ baseUrl: server.url })
    const count = async () =>
      (await client.runs.search({ experiment_ids: ['1', '2', '3', '4'] })).runs?.length
    const before = await count()

    await fillDemo(server.url)

    expect(before).toBeGreaterThan(90)
    expect(await count()).toBe(before)
  })

  test('nothing went wrong on the way, but for the filter that the server refused', () => {
    expect(problems.filter((problem) => !/status of 400/.test(problem))).toEqual([])
  })
})
