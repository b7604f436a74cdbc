import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FakeCluster, startCluster } from '../test/fake-cluster.ts'
import { schemaProblem } from '../test/job-schema.ts'
import { dockerJob, type ObservedJob } from '../test/project-jobs.ts'
import type { ProjectJob } from './backend.ts'
import { Interruption } from './command-run.ts'
import { kubernetesBackend } from './kubernetes-backend.ts'

const TEMPLATE = `
apiVersion: batch/v1
kind: Job
metadata: {name: "{replaced}", namespace: training, labels: {team: a}}
spec:
  ttlSecondsAfterFinished: 100
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: "{replaced}"
          image: "{replaced}"
          command: ["{replaced}"]
          resources: {limits: {memory: 512Mi}}
          env: [{name: KEPT, value: "1"}]
        - {name: sidecar, image: "sidecar:1"}
`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-kubernetes-'))
  await writeFile(join(folder, 'job.yaml'), TEMPLATE)
})
afterEach(() => rm(folder, { recursive: true }))

const config = () => ({
  'kube-context': 'two',
  'kube-job-template-path': join(folder, 'job.yaml'),
  'repository-uri': 'registry.example/team/project',
})

async function jobIn(
  cluster: FakeCluster,
  changes: Partial<ProjectJob> = {},
): Promise<ObservedJob> {
  const file = join(folder, 'kubeconfig')
  await writeFile(file, cluster.kubeconfig)
  const environment = { ...process.env, KUBECONFIG: file, KUBE_MLFLOW_TRACKING_URI: 'http://in:5' }
  const given = { alpha: "$(touch x); it's" }
  return dockerJob(folder, 'python train.py --a {alpha}', given, {
    config: config(),
    environment,
    ...changes,
  })
}

const RUNNING = { startTime: '2026-01-01T00:00:00Z', active: 1 }
const COMPLETE = { conditions: [{ type: 'Complete', status: 'True' }] }

test('a project becomes a job by the template, with its command, image and variables', async () => {
  await using cluster = await startCluster([COMPLETE])
  cluster.podLog = '2026-01-01T00:00:00.5Z first\n2026-01-01T00:00:00.51Z second  line\n'
  const { job, tags, output } = await jobIn(cluster)
  const ending = await kubernetesBackend.run(job)

  expect(ending).toEqual({ status: 'FINISHED', exitCode: 0 })
  const [[name, { definition }] = ['', { definition: undefined }]] = cluster.jobs
  expect(name).toMatch(/^training\/my-project-\d{17}$/)
  expect(definition).toMatchObject({
    metadata: { namespace: 'training', labels: { team: 'a' } },
    spec: {
      ttlSecondsAfterFinished: 100,
      template: {
        spec: {
          containers: [
            {
              name: 'my-project',
              image: 'registry.example/base:1',
              command: ['python', 'train.py', '--a', "$(touch x); it's"],
              resources: { limits: { memory: '512Mi' } },
              env: [
                { name: 'KEPT', value: '1' },
                { name: 'MLFLOW_RUN_ID', value: 'a'.repeat(32) },
                { name: 'MLFLOW_TRACKING_URI', value: 'http://in:5' },
                { name: 'MLFLOW_EXPERIMENT_ID', value: '7' },
              ],
            },
            { name: 'sidecar', image: 'sidecar:1' },
          ],
        },
      },
    },
  })
  expect(Object.fromEntries(tags)).toEqual({
    'mlflow.project.env': 'docker',
    'mlflow.docker.image.uri': 'registry.example/base:1',
  })
  expect(output()).toBe('first\nsecond  line\n')
})

test('the stand-in refuses what the schema of Kubernetes does', () => {
  const container = { name: 'a', image: 'b', env: [{ name: 'A', value: '1' }] }
  const jobWith = (changes: object) => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'a' },
    spec: { template: { spec: { containers: [{ ...container, ...changes }] } } },
  })
  const place = 'job.spec.template.spec.containers[0]'

  expect(schemaProblem(jobWith({ resources: { limits: { 'nvidia.com/gpu': 1 } } }))).toBeUndefined()
  expect(schemaProblem(jobWith({ comand: ['x'] }))).toBe(`unknown field ${place}.comand`)
  expect(schemaProblem(jobWith({ env: [{ value: 'x' }] }))).toBe(`${place}.env[0] lacks name`)
  expect(schemaProblem(jobWith({ command: 'x' }))).toBe(`${place}.command is no array`)
})

test('a job that fails ends the run with what the cluster says', async () => {
  const failed = { type: 'Failed', status: 'True', message: 'Job has reached the backoff limit' }
  await using cluster = await startCluster([{ conditions: [failed] }])
  const { job } = await jobIn(cluster)

  expect(await kubernetesBackend.run(job)).toEqual({
    status: 'FAILED',
    exitCode: 1,
    reason: 'The job failed: Job has reached the backoff limit.',
  })
})

test('a run that is stopped deletes its job', async () => {
  await using cluster = await startCluster([RUNNING])
  const controller = new AbortController()
  const { job } = await jobIn(cluster, { signal: controller.signal })
  const running = kubernetesBackend.run(job)
  await expect.poll(() => cluster.jobs.size, { timeout: 180_000 }).toBe(1)
  controller.abort(new Interruption('SIGTERM'))

  expect(await running).toMatchObject({ status: 'KILLED', exitCode: 143 })
  expect(cluster.deleted).toHaveLength(1)
})

describe('in a sentence is refused', () => {
  test('what the cluster refuses', async () => {
    await using cluster = await startCluster([COMPLETE])
    await writeFile(join(folder, 'job.yaml'), TEMPLATE.replace('Never', 'Always'))
    const { job } = await jobIn(cluster)

    await expect(kubernetesBackend.run(job)).rejects.toThrow(
      /The cluster refuses job my-project-\d+: 422 spec\.template\.spec\.restartPolicy/,
    )
  })

  test.each([
    ['of the pod', 'restartPolicy: Never', 'restartPolicy: Never\n      restartPolcy: Never'],
    ['of a container', 'image: "sidecar:1"', 'image: "sidecar:1", comand: [x]'],
    ['of the job', 'backoffLimit: 0', 'backofLimit: 0'],
  ])('a misspelt field %s, by its name', async (_where, right, wrong) => {
    await using cluster = await startCluster([COMPLETE])
    await writeFile(join(folder, 'job.yaml'), TEMPLATE.replace(right, wrong))
    const { job } = await jobIn(cluster)
    const name = /restartPolcy|comand|backofLimit/.exec(wrong)?.[0]

    await expect(kubernetesBackend.run(job)).rejects.toThrow(
      new RegExp(`refuses job my-project-\\d+: 400 .*unknown field .*\\.${name}$`),
    )
    expect(cluster.jobs.size).toBe(0)
  })

  test('a context that the kubeconfig does not have', async () => {
    await using cluster = await startCluster([COMPLETE])
    const { job } = await jobIn(cluster, { config: { ...config(), 'kube-context': 'three' } })

    await expect(kubernetesBackend.run(job)).rejects.toThrow(
      /There is no context 'three' in .*kubeconfig, only: one, two\./,
    )
  })

  test.each<[Record<string, unknown>, RegExp]>([
    [{}, /'kube-job-template-path' attribute must be specified/],
    [{ 'kube-job-template-path': 'none.yaml', 'repository-uri': 'r' }, /Could not find 'kube-job/],
    [{ 'kube-job-template-path': 'x' }, /Could not find 'repository-uri'/],
  ])('%j', (settings, sentence) => {
    const { job } = dockerJob(folder, 'x', {}, { config: settings })

    expect(() => kubernetesBackend.check?.(job)).toThrow(sentence)
  })
})
