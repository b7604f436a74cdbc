import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AddTagsCommand,
  CreateHyperParameterTuningJobCommand,
  CreateProcessingJobCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker'
import { createClient } from '@millrace/client/client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type ServingClients,
  startServing,
} from '../../packages/sagemaker-local/test/endpoint-images.ts'
import {
  request,
  trainingClient,
  until,
} from '../../packages/sagemaker-local/test/training-client.ts'
import { type RunningServer, startServer } from '../compat/server.ts'
import { launchBrowser, openPage, saveScreenshot } from './browser.ts'

/** Tracks a run, prints a loss for each epoch, and fails or waits when it is told to. */
const TRAIN = `#!/usr/bin/env python3
import json, os, sys, time, urllib.request

def ask(path, body):
    url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))

params = json.load(open("/opt/ml/input/config/hyperparameters.json"))
tags = json.loads(os.environ["MLFLOW_RUN_CONTEXT"])
run = ask("runs/create", {"experiment_id": "0", "run_name": "run-of-" + os.environ["TRAINING_JOB_NAME"],
    "start_time": int(time.time() * 1000), "tags": [{"key": k, "value": v} for k, v in tags.items()]})
for epoch in range(1, int(params.get("epochs", "5")) + 1):
    print("epoch %d loss=%.3f" % (epoch, 1 / epoch), flush=True)
    time.sleep(0.1)
if params.get("mode") == "fail":
    sys.exit("the learning rate is negative")
if params.get("mode") == "wait":
    time.sleep(600)
open("/opt/ml/model/weights", "w").write("1 2 3")
`

/** A model with two columns. */
const MLMODEL = `
flavors: {python_function: {loader_module: none}}
signature: {inputs: '[{"type": "double", "name": "a"}, {"type": "boolean", "name": "b"}]'}
`

let server: RunningServer
let browser: Browser
let page: Page
let problems: string[]
let directory: string
let serving: ServingClients
let plane: { url: string; directory: string; client: ClientOptions }

interface ClientOptions {
  endpoint: string
  region: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  maxAttempts: number
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-jobs-'))
  await chmod(directory, 0o755)
  ;[server, browser] = await Promise.all([
    startServer('millrace', { args: ['--sagemaker-local', '0'] }),
    launchBrowser(),
  ])
  const url = await until(async () => /SageMaker is at (\S+?),/.exec(server.output())?.[1])
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const client = { endpoint: url, region: 'us-east-1', credentials, maxAttempts: 1 }
  plane = { url, directory, client }
  ;({ page, problems } = await openPage(browser))

  const { create, image } = await trainingClient(plane)
  const folder = await image(TRAIN)
  const job = (name: string, mode: string) =>
    create(name, folder, {
      HyperParameters: { mode, lr: '0.1' },
      AlgorithmSpecification: {
        TrainingImage: folder,
        TrainingInputMode: 'File',
        MetricDefinitions: [{ Name: 'loss', Regex: 'loss=([0-9.]+)' }],
      },
    })
  await job('walk-good', 'train')
  await job('walk-bad', 'fail')
  await job('walk-long', 'wait')
  await tune(folder)
  serving = await startServing(plane)
})

afterAll(async () => {
  await browser?.close()
  await server?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
})

/** Starts a tuning job that tries three rates. */
async function tune(folder: string): Promise<void> {
  const like = request('unused', folder)
  await new SageMakerClient(plane.client).send(
    new CreateHyperParameterTuningJobCommand({
      HyperParameterTuningJobName: 'walk-tuning',
      HyperParameterTuningJobConfig: {
        Strategy: 'Grid',
        ResourceLimits: { MaxParallelTrainingJobs: 1 },
        HyperParameterTuningJobObjective: { Type: 'Minimize', MetricName: 'loss' },
        ParameterRanges: {
          CategoricalParameterRanges: [{ Name: 'epochs', Values: ['4', '5', '2'] }],
        },
      },
      TrainingJobDefinition: {
        AlgorithmSpecification: {
          TrainingImage: folder,
          TrainingInputMode: 'File',
          MetricDefinitions: [{ Name: 'loss', Regex: 'loss=([0-9.]+)' }],
        },
        RoleArn: like.RoleArn,
        OutputDataConfig: like.OutputDataConfig,
        ResourceConfig: like.ResourceConfig,
        StoppingCondition: like.StoppingCondition,
      },
    }),
  )
}

/** Starts a processing job that runs a line of the shell. */
async function cleanUp(name: string, line: string): Promise<void> {
  const { RoleArn } = request('unused', '')
  await new SageMakerClient(plane.client).send(
    new CreateProcessingJobCommand({
      ProcessingJobName: name,
      RoleArn,
      AppSpecification: {
        ImageUri: 'any/shell:1',
        ContainerEntrypoint: ['/bin/sh', '-c'],
        ContainerArguments: [line],
      },
      Environment: { TEAM: 'blue' },
      ProcessingOutputConfig: {
        Outputs: [
          {
            OutputName: 'rows',
            S3Output: {
              S3Uri: 's3://training/rows',
              LocalPath: '/opt/ml/processing/rows',
              S3UploadMode: 'EndOfJob',
            },
          },
        ],
      },
      ProcessingResources: {
        ClusterConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
      },
    }),
  )
}

const state = () => page.getByRole('definition').first()
const rail = (name: string) =>
  page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name })

describe('a walk over jobs and endpoints', () => {
  test('the rail leads to the jobs, which show how they stand', async () => {
    await page.goto(server.url)
    await rail('Jobs').click()

    const row = page.getByRole('row', { name: /^walk-good/ })
    await row.getByText('Completed').waitFor()
    await row.getByRole('link', { name: 'run-of-walk-good' }).waitFor()
    await page
      .getByRole('row', { name: /^walk-bad/ })
      .getByText('Failed')
      .waitFor()
    await page
      .getByRole('row', { name: /^walk-long/ })
      .getByText('Training')
      .waitFor()
    await saveScreenshot(page, 'jobs')
  })

  test('a job shows its log, its metrics, its phases and its run, which leads back', async () => {
    await page.getByRole('link', { name: 'walk-good', exact: true }).click()

    await page.getByRole('log').getByText('epoch 5 loss=0.200').waitFor()
    await page.getByRole('img', { name: 'loss over time' }).waitFor()
    const details = page.getByRole('complementary', { name: 'Details' })
    await details.getByText('Uploading').waitFor()
    await details.getByRole('rowheader', { name: 'lr' }).waitFor()
    await saveScreenshot(page, 'job')
    await details.getByRole('link', { name: 'run-of-walk-good' }).click()

    await page.getByRole('heading', { level: 1, name: 'run-of-walk-good' }).waitFor()
    await page.getByRole('link', { name: 'walk-good', exact: true }).click()
    await page.getByRole('heading', { level: 1, name: 'walk-good' }).waitFor()
  })

  test('a failed job says why and what to do, and is retried with changes', async () => {
    await page.goto(`${server.url}/jobs/training/walk-bad`)

    const card = page.getByRole('region', { name: 'This job has failed' })
    await card.getByText('the learning rate is negative').waitFor()
    await card.getByText(/correct it, and start it again/).waitFor()
    await saveScreenshot(page, 'job-failed')
    await page.getByRole('button', { name: 'Retry with changes' }).click()
    const dialog = page.getByRole('dialog')
    const parameters = dialog.getByRole('textbox', { name: /^Hyperparameters/ })
    await parameters.fill('{"mode": ')
    await dialog.getByRole('button', { name: 'Start the job' }).click()
    await dialog.getByRole('alert').filter({ hasText: 'Hyperparameters' }).waitFor()
    await parameters.fill('{"mode": "train", "lr": "0.2"}')
    await dialog.getByRole('button', { name: 'Start the job' }).click()

    await page.getByRole('heading', { level: 1, name: 'walk-bad-2' }).waitFor()
    await state().getByText('Completed').waitFor()
    await page.getByRole('log').getByText('epoch 5 loss=0.200').waitFor()
  })

  test('a job that runs is stopped', async () => {
    await page.goto(`${server.url}/jobs/training/walk-long`)
    await page.getByRole('log').getByText('epoch 5 loss=0.200').waitFor()
    await saveScreenshot(page, 'job-running')

    await page.getByRole('button', { name: 'Stop' }).click()

    await state().getByText('Stopped').waitFor()
  })

  test('a processing job shows its log, its command and why it has failed, and is stopped', async () => {
    await cleanUp('walk-dirty', 'echo row 7 is empty; echo no rows are left >&2; exit 3')
    await cleanUp('walk-slow', 'echo reading; sleep 600')
    await rail('Jobs').click()
    await page.getByRole('button', { name: 'Processing' }).click()
    await page.getByRole('link', { name: 'walk-dirty', exact: true }).click()

    const card = page.getByRole('region', { name: 'This job has failed' })
    await card.getByText('no rows are left').waitFor()
    await page.getByRole('log').getByText('row 7 is empty').waitFor()
    const details = page.getByRole('complementary', { name: 'Details' })
    await details.getByText('s3://training/rows').waitFor()
    await details.getByText('/bin/sh -c echo row 7').waitFor()
    await saveScreenshot(page, 'processing-failed')
    await page.emulateMedia({ colorScheme: 'dark' })
    await saveScreenshot(page, 'processing-failed-dark')
    await page.emulateMedia({ colorScheme: 'light' })

    await page.goto(`${server.url}/jobs/processing/walk-slow`)
    await page.getByRole('log').getByText('reading').waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    await state().getByText('Stopped').waitFor()
  })

  test('a tuning job shows its trials from the best one down, and the curve of the best', async () => {
    await rail('Jobs').click()
    await page.getByRole('button', { name: 'Tuning' }).click()
    await page.getByRole('link', { name: 'walk-tuning', exact: true }).click()

    await state().getByText('Completed').waitFor({ timeout: 180_000 })
    const trials = page.getByRole('table', { name: 'Trials' })
    const cells = await trials.getByRole('row').locator('td:nth-child(3)').allInnerTexts()
    expect(cells).toEqual(['0.200', '0.250', '0.500'])
    await trials.getByRole('row', { name: /best/ }).getByText('0.200').waitFor()
    await page.getByRole('img', { name: 'Best loss so far, by trials' }).waitFor()
    await saveScreenshot(page, 'tuning')
  }, 360_000)

  test('an endpoint shows its variants and answers in the test console', async () => {
    const { createModel, createConfig, createEndpoint, sagemaker } = serving
    await createModel('walk-model', { NAME: 'walker' })
    await sagemaker.send(
      new AddTagsCommand({
        ResourceArn: 'arn:aws:sagemaker:us-east-1:123456789012:model/walk-model',
        Tags: [{ Key: 'millrace:model-version', Value: 'walkers/1' }],
      }),
    )
    const client = createClient({ baseUrl: server.url })
    await client.registeredModels.create({ name: 'walkers' })
    await client.modelVersions.create({ name: 'walkers', source: 's3://models/model' })
    await createConfig('walk-config', [{ ModelName: 'walk-model', VariantName: 'blue' }])
    await createEndpoint('walk-endpoint', 'walk-config')

    await rail('Endpoints').click()
    await page.getByRole('link', { name: 'walk-endpoint' }).click()
    await state().getByText('In service').waitFor()
    await page.getByRole('cell', { name: '1 of 1' }).waitFor()
    await page.getByRole('textbox', { name: 'Body' }).fill('{"inputs": [[1]]}')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText('"name": "walker"').waitFor()
    await page.getByRole('textbox', { name: 'Body' }).fill('fail')
    await page.getByRole('button', { name: 'Send' }).click()

    await page.getByText('Refused with 400').waitFor()
    await page.getByText('that is no input').waitFor()
    await page.getByRole('rowheader', { name: 'Failed' }).waitFor()
    await saveScreenshot(page, 'endpoint')
    await page.emulateMedia({ colorScheme: 'dark' })
    await saveScreenshot(page, 'endpoint-dark')
    await page.goto(`${server.url}/jobs/training/walk-bad`)
    await page.getByRole('region', { name: 'This job has failed' }).waitFor()
    await saveScreenshot(page, 'job-failed-dark')
  })

  test('the test console begins with the columns of the version that an endpoint serves', async () => {
    await page.emulateMedia({ colorScheme: 'light' })
    const { createModel, createConfig } = serving
    const client = createClient({ baseUrl: server.url })
    const { run } = await client.runs.create({ experiment_id: '0' })
    const path = `0/${run.info.run_id}/artifacts/model`
    await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}/MLmodel`, {
      method: 'PUT',
      body: MLMODEL,
    })
    await client.modelVersions.create({
      name: 'walkers',
      source: `mlflow-artifacts:/${path}`,
      run_id: run.info.run_id,
    })
    await createModel(
      'walk-model-2',
      { NAME: 'runner' },
      { Tags: [{ Key: 'millrace:model-version', Value: 'walkers/2' }] },
    )
    await createConfig('walk-config-2', [{ ModelName: 'walk-model-2', VariantName: 'green' }])
    await page.goto(`${server.url}/endpoints/walk-endpoint`)

    await page.getByRole('button', { name: 'Update' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('option', { name: 'walk-config-2: walkers version 2' }).waitFor({
      state: 'attached',
    })
    await saveScreenshot(page, 'endpoint-update')
    await dialog.getByRole('button', { name: 'Update' }).click()
    await page.getByRole('cell', { name: 'green', exact: true }).waitFor()
    await page.getByRole('textbox', { name: 'a of row 1' }).fill('2.5')
    await page.getByRole('button', { name: 'Send' }).click()

    await page.getByText('"name": "runner"').waitFor()
    await page
      .getByText(/\[2\.5,false\]/)
      .first()
      .waitFor()
    await page
      .getByRole('combobox', { name: 'Stream of the log' })
      .locator('option:checked', { hasText: 'green/' })
      .waitFor({ state: 'attached' })
    await saveScreenshot(page, 'endpoint-console')
  })

  test('an endpoint that was updated is rolled back', async () => {
    await page.getByRole('button', { name: 'Roll back' }).click()
    await page.getByRole('dialog').getByText('walk-config', { exact: true }).waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()

    await page.getByRole('cell', { name: 'blue', exact: true }).waitFor()
    await page.getByRole('cell', { name: 'green', exact: true }).waitFor({ state: 'detached' })
    await state().getByText('In service').waitFor()
  })

  test('an endpoint and the version that it serves lead to one another', async () => {
    await page.goto(`${server.url}/endpoints/walk-endpoint`)
    await page.getByRole('link', { name: 'walkers version 1' }).click()

    await page.getByRole('heading', { level: 1, name: 'Version 1' }).waitFor()
    await page.getByRole('complementary').getByRole('link', { name: 'walk-endpoint' }).click()
    await page.getByRole('heading', { level: 1, name: 'walk-endpoint' }).waitFor()
  })

  test('an endpoint that is deleted is gone from the list', async () => {
    await page.getByRole('button', { name: 'Actions of the endpoint' }).click()
    await page.getByRole('menuitem', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete endpoint' }).click()

    await page.getByRole('heading', { name: 'No endpoint yet' }).waitFor()
  })

  test('nothing went wrong on the way', () => {
    expect(problems).toEqual([])
  })
})
