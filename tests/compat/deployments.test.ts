import { mkdtempSync, rmSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import {
  ListEndpointConfigsCommand,
  ListEndpointsCommand,
  ListModelsCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker'
import { createClient } from '@millrace/client/client'
import { createDeployment } from '@millrace/sagemaker/deployments/create-deployment'
import { deleteDeployment } from '@millrace/sagemaker/deployments/delete-deployment'
import type { DeploymentConfig } from '@millrace/sagemaker/deployments/deployment-config'
import { type DeploymentContext, withAws } from '@millrace/sagemaker/deployments/deployment-context'
import { getDeployment } from '@millrace/sagemaker/deployments/find-deployment'
import { invokeDeployment } from '@millrace/sagemaker/deployments/invoke-deployment'
import { predictionInput } from '@millrace/sagemaker/deployments/prediction-input'
import { updateDeployment } from '@millrace/sagemaker/deployments/update-deployment'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningServer, startServer } from './server.ts'

// Reads the model that it is given and says which it is; a model called "broken" ends it.
const SERVE = `#!/usr/bin/env python3
import http.server, json, os, sys
told = open("/opt/ml/model/told.txt").read()
if told == "broken":
    print("this model cannot be loaded", flush=True)
    sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answer = {"predictions": [told, sent, os.environ.get("ASKED"), os.environ["SERVING_ENVIRONMENT"]]}
        self.answer(json.dumps(answer).encode())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
`
const REGION = 'us-east-1'
const BUCKET = `mlflow-sagemaker-${REGION}-123456789012`
/** A create takes a second, and ten when other tests use the machine. */
const LIMIT_MS = 300_000
const ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_EC2_METADATA_DISABLED: 'true',
}

let folder: string
let plane: Plane
let server: RunningServer
let image: string
const lines: string[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-deployments-'))
  ;[plane, server] = await Promise.all([
    startPlane({ directory: join(folder, 'plane'), port: 0, environment: process.env }),
    startServer('millrace'),
  ])
  // The SDK finds its endpoint and keys in the environment, as it does for people.
  Object.assign(process.env, ENVIRONMENT, { AWS_ENDPOINT_URL: plane.url })
  image = `local:${join(folder, 'image')}`
  await mkdir(join(folder, 'image'))
  await writeFile(join(folder, 'image', 'serve'), SERVE)
  await chmod(join(folder, 'image', 'serve'), 0o755)
  for (const name of ['first', 'second', 'broken']) await saveModel(name)
  await chmod(folder, 0o755)
})
afterAll(async () => {
  for (const name of [...Object.keys(ENVIRONMENT), 'AWS_ENDPOINT_URL']) delete process.env[name]
  await plane[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

async function saveModel(name: string): Promise<void> {
  await mkdir(join(folder, name))
  await writeFile(
    join(folder, name, 'MLmodel'),
    'flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n',
  )
  await writeFile(join(folder, name, 'told.txt'), name)
}

function deploying<Result>(work: (context: DeploymentContext) => Promise<Result>): Promise<Result> {
  const options = {
    region: REGION,
    assumeRoleArn: undefined,
    tracking: { url: server.url, headers: {} },
    mlflowVersion: '3.17.2',
    environment: process.env,
    report: (line: string) => lines.push(line),
  }
  return withAws(options, work)
}

function create(modelUri: string, config: DeploymentConfig = {}, name = 'boston') {
  return deploying((context) =>
    createDeployment(context, { name, modelUri, config: { image_url: image, ...config } }),
  )
}

function update(modelUri: string, config: DeploymentConfig = {}, isPlan = false) {
  return deploying((context) =>
    updateDeployment(context, { name: 'boston', modelUri, config, isPlan }),
  )
}

async function predict(): Promise<unknown[]> {
  const input = predictionInput('[[1]]', 'json')
  const text = await deploying((context) => invokeDeployment(context, 'boston', input))
  return (JSON.parse(text) as { predictions: unknown[] }).predictions
}

/** Everything that deployments make and that is still there, in numbers. */
async function left() {
  const client = new SageMakerClient({ region: REGION })
  const s3 = new S3Client({ region: REGION, forcePathStyle: true })
  const [endpoints, configs, models, objects] = await Promise.all([
    client.send(new ListEndpointsCommand({})),
    client.send(new ListEndpointConfigsCommand({})),
    client.send(new ListModelsCommand({})),
    s3.send(new ListObjectsV2Command({ Bucket: BUCKET })),
  ])
  return [
    endpoints.Endpoints?.length,
    configs.EndpointConfigs?.length,
    models.Models?.length,
    objects.Contents?.length ?? 0,
  ]
}

async function endpointTags(): Promise<(string | undefined)[]> {
  const client = createClient({ baseUrl: server.url })
  const { model_versions = [] } = await client.modelVersions.search({
    order_by: ['version_number ASC'],
  })
  return model_versions.map(({ tags = [] }) => {
    const tag = tags.find(({ key }) => key === 'millrace.sagemaker.endpoint')
    return tag?.value?.split('/').at(-1)
  })
}

describe('a deployment', { timeout: LIMIT_MS }, () => {
  test('whose container fails is told with the last lines of its log and leaves nothing', async () => {
    const failure = create(join(folder, 'broken'))
    await expect(failure).rejects.toThrow(/has failed: .*\n.*\n? *this model cannot be loaded/s)
    expect(await left()).toEqual([0, 0, 0, 0])
  })

  test('answers with what it was made of, and its settings', async () => {
    await create(join(folder, 'first'), { env: { ASKED: 'yes' }, tags: { team: 'blue' } })
    const body = '{"dataframe_split":{"index":[0],"columns":[0],"data":[[1]]}}'
    expect(await predict()).toEqual(['first', body, 'yes', 'SageMaker'])
    expect(await left()).toEqual([1, 1, 1, 1])
  })

  test('is refused when its name is taken, before anything is made', async () => {
    await expect(create(join(folder, 'second'))).rejects.toThrow("'boston' already exists")
    expect(await left()).toEqual([1, 1, 1, 1])
  })

  test('is planned without being touched', async () => {
    lines.length = 0
    await update(join(folder, 'second'), { instance_type: 'ml.c5.large' }, true)
    expect(lines).toContain('  instances: 1 x ml.m4.xlarge -> 1 x ml.c5.large')
    expect(await left()).toEqual([1, 1, 1, 1])
  })

  test('serves as before after an update that fails, and nothing of the new one is left', async () => {
    const before = await deploying(({ aws }) => getDeployment(aws, 'boston'))
    const failure = update(join(folder, 'broken'))
    await expect(failure).rejects.toThrow(
      /update of 'boston' has failed: .*this model cannot be loaded/s,
    )
    const { endpoint } = await deploying(({ aws }) => getDeployment(aws, 'boston'))
    expect(endpoint).toMatchObject({
      EndpointStatus: 'InService',
      EndpointConfigName: before.endpoint.EndpointConfigName,
    })
    expect((await predict())[0]).toBe('first')
    expect(await left()).toEqual([1, 1, 1, 1])
  })

  test('keeps its settings when another model replaces its model', async () => {
    await update(join(folder, 'second'))
    expect(await predict()).toEqual(['second', expect.any(String), 'yes', 'SageMaker'])
    expect(await left()).toEqual([1, 1, 1, 1])
  })

  test('gets a model beside its own without traffic, and both are removed with it', async () => {
    await update(join(folder, 'first'), { mode: 'add', variant_name: 'beside' })
    const { endpoint } = await deploying(({ aws }) => getDeployment(aws, 'boston'))
    expect(endpoint.ProductionVariants?.map(({ CurrentWeight }) => CurrentWeight)).toEqual([1, 0])
    expect((await predict())[0]).toBe('second')
    await deploying((context) => deleteDeployment(context, 'boston', {}))
    expect(await left()).toEqual([0, 0, 0, 0])
    const again = deploying((context) => deleteDeployment(context, 'boston', {}))
    await expect(again).rejects.toThrow("no deployment 'boston'")
  })
})

test(
  'model versions know the endpoints that serve them',
  async () => {
    const client = createClient({ baseUrl: server.url })
    const { run } = await client.runs.create({ experiment_id: '0' })
    const { run_id } = run.info
    await client.registeredModels.create({ name: 'boston' })
    for (const name of ['first', 'second']) {
      for (const file of ['MLmodel', 'told.txt'])
        await logFile(run.info.artifact_uri ?? '', name, file)
      await client.modelVersions.create({
        name: 'boston',
        source: `${run.info.artifact_uri}/${name}`,
        run_id,
      })
    }
    await client.registeredModels.setAlias({ name: 'boston', alias: 'champion', version: '2' })
    await create('models:/boston/1', {}, 'boston')
    expect(await endpointTags()).toEqual(['boston', undefined])
    await update('models:/boston@champion')
    expect((await predict())[0]).toBe('second')
    expect(await endpointTags()).toEqual([undefined, 'boston'])
    await deploying((context) => deleteDeployment(context, 'boston', {}))
    expect(await endpointTags()).toEqual([undefined, undefined])
  },
  LIMIT_MS,
)

async function logFile(artifactUri: string, model: string, file: string): Promise<void> {
  const path = artifactUri.replace(/^mlflow-artifacts:\/+/, '')
  const body = file === 'MLmodel' ? 'flavors: {python_function: {loader_module: x}}' : model
  const url = `${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}/${model}/${file}`
  const { status } = await fetch(url, { method: 'PUT', body })
  expect(status).toBe(200)
}
