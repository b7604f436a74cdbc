import { expect, test } from 'vitest'
import { startServer } from '../../test/start-server.ts'

test.each([
  'mlflow-artifacts:/',
  'mlflow-artifacts:/below',
  'mlflow-artifacts://tracking.example:5000/below',
  'http://tracking.example:5000/api/2.0/mlflow-artifacts/artifacts',
  'https://tracking.example/prefix/api/2.0/mlflow-artifacts/artifacts/below',
])('artifacts of runs below the default root %s are found behind the proxy', async (root) => {
  await using server = await startServer((config) => ({
    ...config,
    settings: { ...config.settings, defaultArtifactRoot: root },
  }))
  const { experiment_id } = await server.client.experiments.create({ name: 'e' })
  const { run } = await server.client.runs.create({ experiment_id })
  const { run_id, artifact_uri } = run.info
  expect(artifact_uri).toBe(`${root.replace(/\/$/, '')}/${experiment_id}/${run_id}/artifacts`)
  const directory = `${root.endsWith('/below') ? 'below/' : ''}${experiment_id}/${run_id}/artifacts`

  const headers = { host: 'localhost' }
  await server.http.inject({
    method: 'PUT',
    url: `/api/2.0/mlflow-artifacts/artifacts/${directory}/sub/a.txt`,
    headers,
    payload: 'text',
  })

  expect(await server.client.artifacts.list({ run_id, path: 'sub' })).toEqual({
    root_uri: artifact_uri,
    files: [{ path: 'sub/a.txt', is_dir: false, file_size: 4 }],
  })
  const url = `/get-artifact?run_id=${run_id}&path=sub/a.txt`
  expect((await server.http.inject({ url, headers })).body).toBe('text')
})

test('artifacts at an HTTP URL that is no proxy are not looked for behind ours', async () => {
  await using server = await startServer((config) => ({
    ...config,
    settings: { ...config.settings, defaultArtifactRoot: 'https://files.example/artifacts' },
  }))
  const { experiment_id } = await server.client.experiments.create({ name: 'e' })
  const { run } = await server.client.runs.create({ experiment_id })

  await expect(server.client.artifacts.list({ run_id: run.info.run_id })).rejects.toMatchObject({
    status: expect.toSatisfy((status: number) => status >= 400 && status < 500),
  })
})
