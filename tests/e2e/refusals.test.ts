import { createClient } from '@millrace/client/client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningServer, startServer } from '../compat/server.ts'
import { launchBrowser, openPage } from './browser.ts'

const PAYLOAD =
  '"><img src=x onerror="top.pwned=1"><script>top.pwned=1</script>[a](javascript:top.pwned=1)'
const FILES: Record<string, string> = {
  'a.html': `<script>parent.pwned=1;top.pwned=1</script><h1>page</h1>${PAYLOAD}`,
  'a.svg': `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="top.pwned=1"><script>top.pwned=1</script></svg>`,
  'a.md': `# heading\n\n${PAYLOAD}\n\n<iframe srcdoc="<script>top.pwned=1</script>"></iframe>`,
  'a.csv': `name,${PAYLOAD}\n1,"${PAYLOAD.replaceAll('"', '""')}"\n`,
  'a.json': JSON.stringify({ [PAYLOAD]: PAYLOAD }),
  'a.yaml': `key: ${JSON.stringify(PAYLOAD)}\n`,
  'a.txt': PAYLOAD,
  MLmodel: `flavors: {${JSON.stringify(PAYLOAD)}: {}}\n`,
}

let server: RunningServer
let browser: Browser
let page: Page
let experimentUrl: string
let runUrl: string

beforeAll(async () => {
  ;[server, browser] = await Promise.all([startServer('millrace'), launchBrowser()])
  const client = createClient({ baseUrl: server.url })
  const tags = [
    { key: 'tag', value: PAYLOAD },
    { key: 'mlflow.note.content', value: PAYLOAD },
  ]
  const { experiment_id } = await client.experiments.create({ name: PAYLOAD, tags })
  const { run } = await client.runs.create({
    experiment_id,
    run_name: PAYLOAD,
    start_time: 1,
    tags,
  })
  const { run_id, artifact_uri } = run.info
  const params = [
    { key: 'payload', value: PAYLOAD },
    { key: 'long', value: 'x'.repeat(6000) },
  ]
  await client.runs.logBatch({ run_id, params })
  for (const [path, body] of Object.entries(FILES)) {
    const place = `${artifact_uri.replace(/^mlflow-artifacts:\/*/, '')}/${path}`
    const url = `${server.url}/api/2.0/mlflow-artifacts/artifacts/${place}`
    expect((await fetch(url, { method: 'PUT', body })).ok).toBe(true)
  }
  experimentUrl = `${server.url}/experiments/${experiment_id}`
  runUrl = `${experimentUrl}/runs/${run_id}`
  ;({ page } = await openPage(browser))
})

afterAll(async () => {
  await browser?.close()
  await server?.[Symbol.asyncDispose]()
})

const wasRun = () => page.evaluate(() => 'pwned' in window)

describe('texts that try to be scripts', () => {
  test('are texts in lists, names, notes, params and tags', async () => {
    for (const url of [`${server.url}/experiments`, experimentUrl, runUrl]) {
      await page.goto(url)
      await page.getByText('<script>', { exact: false }).first().waitFor()
      expect(await wasRun()).toBe(false)
    }
  })

  test.each(Object.keys(FILES))('do nothing in the preview of %s', async (path) => {
    await page.goto(`${runUrl}?tab=artifacts&path=${path}`)
    await page.getByRole('region', { name: 'Preview' }).getByText(path).first().waitFor()
    await page.waitForLoadState('networkidle')

    expect(await wasRun()).toBe(false)
    expect(await page.locator('a[href^="javascript:"]').count()).toBe(0)
  })

  test('a long param shows its beginning until one asks for the rest', async () => {
    await page.goto(runUrl)
    await page.getByRole('button', { name: 'Show all 6,000 characters' }).click()

    await page.getByText('x'.repeat(6000)).waitFor()
  })
})

describe('addresses', () => {
  test.each([
    ['/experiments/999999', 'There is no such thing here'],
    ['/experiments/1/runs/unknown', 'There is no such thing here'],
    ['/models/unknown', 'There is no such thing here'],
    ['/nowhere/at/all', 'Page not found'],
  ])('%s says "%s" and leads back', async (path, title) => {
    await page.goto(server.url + path)

    await page.getByRole('heading', { level: 1, name: title }).last().waitFor()
    await page.getByRole('main').getByRole('link', { name: 'All experiments' }).click()
    await page.getByRole('heading', { level: 1, name: 'Experiments' }).waitFor()
  })

  test('the links that Python clients print open the run', async () => {
    await page.goto(runUrl.replace(server.url, `${server.url}/#`))

    await page.getByRole('button', { name: 'Copy run id' }).waitFor()
    expect(page.url()).toBe(runUrl)
  })

  test('a wrong filter in the address is marked, and mending it brings the runs back', async () => {
    await page.goto(`${experimentUrl}?filter=${encodeURIComponent('metrics.loss < oops')}`)
    await page.getByRole('alert').locator('mark').getByText('oops').waitFor()

    await page.getByRole('textbox', { name: 'Filter runs' }).fill('')
    await page.keyboard.press('Enter')
    await page.getByText('1 run', { exact: true }).waitFor()
  })
})

test('without the server the page keeps what it has, says so, and continues by itself', async () => {
  await page.goto(experimentUrl)
  await page.getByText('1 run', { exact: true }).waitFor()

  await page.context().setOffline(true)
  await page.getByRole('alert').getByText('The server does not answer').waitFor()
  expect(await page.getByText('1 run', { exact: true }).count()).toBe(1)

  await page.context().setOffline(false)
  await page.getByText('The server does not answer').waitFor({ state: 'detached' })
})
