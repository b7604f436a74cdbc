import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { emptyServerDatabase, sqliteFile } from '../../test/shared-database.ts'
import { startServer, type TestServer } from '../../test/start-server.ts'
import {
  artifactFile,
  countAllRows,
  endRun,
  fillRun,
  writeArtifact,
} from '../../test/stored-things.ts'
import { temporaryFolder } from '../../test/temporary-folder.ts'
import { type DatabaseConfig, localConfig, type Settings } from '../config.ts'
import { backUp } from './backup.ts'
import { readManifest } from './backup-folder.ts'
import { collectGarbage } from './collect-garbage.ts'
import { withDatabase } from './open-database.ts'
import { restore } from './restore.ts'
import { verifyBackup } from './verify-backup.ts'

const print = () => {}

async function backUpServer({ config }: TestServer, folder: string, keep?: number) {
  const { database, settings } = config
  return backUp({ folder, database, settings, keep, print })
}

/** Every place that a backup can be restored into in this run of the tests. */
async function targets(
  directory: string,
): Promise<{ database: DatabaseConfig; settings: Settings }[]> {
  const database = await emptyServerDatabase()
  const all = [
    sqliteFile(join(directory, 'sqlite', 'restored.db')),
    ...(database ? [database] : []),
  ]
  return all.map((database) => ({
    database,
    settings: localConfig(join(directory, database.kind)).settings,
  }))
}

/** A backup restored on another server, started there, with what a client reads from it. */
async function readRestored(
  { database, settings }: { database: DatabaseConfig; settings: Settings },
  directory: string,
  run_id: string,
) {
  await using restored = await startServer((config) => ({ ...config, database, settings }))
  const { run } = await restored.client.runs.get({ run_id })
  const history = await restored.client.metrics.getHistory({ run_id, metric_key: 'loss' })
  const { runs = [] } = await restored.client.runs.search({
    experiment_ids: ['0'],
    filter: "params.lr = '0.1' and metrics.loss < 2",
  })
  const { experiment_id } = await restored.client.experiments.create({ name: `new ${directory}` })
  const { run: fresh } = await restored.client.runs.create({ experiment_id })
  return { run, history, found: runs.length, experiment_id, fresh: fresh.info.run_id }
}

test('a backup restored into an empty database of any kind is the same, to the last row and file', {
  timeout: 360_000,
}, async () => {
  await using server = await startServer()
  await using folder = await temporaryFolder()
  const { client, db } = server
  const { run_id, artifact_uri } = await fillRun(server, '0', 'whole')
  const odd = 'Zeile\u2028zwei\n"ü" 🚀 \\ \t'
  await client.runs.logBatch({
    run_id,
    metrics: [
      { key: 'loss', value: 'NaN', timestamp: 0, step: 0 },
      {
        key: 'big',
        value: 1.7976931348623157e308,
        timestamp: 9_007_199_254_740_993n,
        step: -(2n ** 63n),
      },
    ],
    tags: [{ key: 'odd', value: odd }],
  })
  await endRun(client, run_id, 99)
  await client.registeredModels.create({ name: 'churn', description: odd })
  await client.modelVersions.create({ name: 'churn', source: `runs:/${run_id}/model`, run_id })
  await client.registeredModels.setAlias({ name: 'churn', alias: 'champion', version: '1' })
  await writeArtifact(server, artifact_uri, 'deep/empty.txt', '')
  const { experiment_id: purged } = await client.experiments.create({ name: 'purged' })
  await client.experiments.delete({ experiment_id: purged })
  const { database, settings } = server.config
  await collectGarbage({ database, settings, query: {}, isTrial: false, print })
  const before = await client.runs.get({ run_id })
  const backups = join(folder.path, 'backups')

  // Chunks are bytes that every kind of database must give back as they were.
  await expect
    .poll(async () => (await countAllRows(db))['metric_chunk'], { timeout: 180_000 })
    .toBeGreaterThan(0)

  await backUpServer(server, backups)

  const { tables } = await readManifest(backups)
  const expected = Object.fromEntries(tables.map((table) => [table.name, table.rows]))
  expect(expected).toMatchObject({ run: 1, param: 1, run_dataset: 1, registered_model_alias: 1 })
  let from = backups
  for (const target of await targets(folder.path)) {
    await restore({ folder: from, ...target, print })
    // The next kind of database gets what this one makes of it.
    from = join(folder.path, `of-${target.database.kind}`)
    await backUp({ folder: from, ...target, print })
    const rows = await withDatabase(target.database, 'read', countAllRows)
    expect(rows).toEqual(expected)
    const read = await readRestored(target, target.database.kind, run_id)
    expect(read.run).toEqual(before.run)
    expect(read.run.data.tags).toContainEqual({ key: 'odd', value: odd })
    expect(read.history.metrics?.map(({ value }) => value)).toEqual(['NaN', 1, 0.5, 1 / 3])
    expect(read.found).toBe(1)
    expect(Number(read.experiment_id)).toBeGreaterThan(Number(purged))
    const files = join(target.settings.artifactsDestination, artifact_uri.replace(/^[^/]*\//, ''))
    expect(readFileSync(join(files, 'plots/loss.txt'), 'utf8')).toBe('loss of whole')
    expect(readFileSync(join(files, 'deep/empty.txt'), 'utf8')).toBe('')
  }
})

test('every write that was acknowledged before a backup began is in it, though writes go on', async () => {
  await using server = await startServer()
  await using folder = await temporaryFolder()
  const { client } = server
  const { run } = await client.runs.create({ experiment_id: '0', run_name: 'busy' })
  const { run_id } = run.info
  let acknowledged = 0
  let goesOn = true
  const writer = (async () => {
    for (let step = 1; goesOn; step++) {
      const value = String(step)
      const metrics = [{ key: 'loss', value: step, timestamp: step, step }]
      await client.runs.logBatch({ run_id, metrics, params: [{ key: `p${step}`, value }] })
      await writeArtifact(server, run.info.artifact_uri, `${step}.txt`, value)
      acknowledged = step
    }
  })()
  await expect.poll(() => acknowledged).toBeGreaterThan(5)
  const promised = acknowledged

  const id = await backUpServer(server, folder.path)
  await expect.poll(() => acknowledged).toBeGreaterThan(promised + 5)
  goesOn = false
  await writer

  expect((await verifyBackup(folder.path, id)).problems).toEqual([])
  const [target] = await targets(join(folder.path, 'target'))
  if (target === undefined) throw new Error('there is a target')
  await restore({ folder: folder.path, ...target, print })
  const read = await readRestored(target, 'busy', run_id)
  const steps = read.history.metrics?.map(({ step }) => Number(step)) ?? []
  expect(steps.length).toBeGreaterThanOrEqual(promised)
  expect(steps).toEqual(steps.map((_, index) => index + 1))
  expect(read.run.data.params).toHaveLength(steps.length)
  const files = readdirSync(
    join(target.settings.artifactsDestination, run.info.artifact_uri.replace(/^[^/]*\//, '')),
  )
  for (let step = 1; step <= promised; step++) expect(files).toContain(`${step}.txt`)
})

test('files that an earlier backup has are not copied again, and those of deleted backups go', async () => {
  await using server = await startServer()
  await using folder = await temporaryFolder()
  const { run_id, artifact_uri } = await fillRun(server, '0', 'grows')
  const first = await backUpServer(server, folder.path)
  const objects = () =>
    readdirSync(join(folder.path, 'objects'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.includes('/'))
      .map((name) => join(folder.path, 'objects', name))
  const inodes = new Map(objects().map((path) => [path, statSync(path).ino]))
  expect(inodes.size).toBe(2)
  await writeArtifact(server, artifact_uri, 'plots/loss.txt', 'another loss')

  await backUpServer(server, folder.path)
  expect(objects()).toHaveLength(3)
  for (const [path, inode] of inodes) expect(statSync(path).ino).toBe(inode)
  expect((await verifyBackup(folder.path, first)).problems).toEqual([])

  const partial = join(folder.path, 'snapshots', '.partial-other')
  mkdirSync(partial)
  const kept = objects().length
  await backUpServer(server, folder.path, 2)
  expect(objects()).toHaveLength(kept)
  const longAgo = new Date(Date.now() - 8 * 86_400_000)
  utimesSync(partial, longAgo, longAgo)

  const third = await backUpServer(server, folder.path, 1)
  expect(existsSync(partial)).toBe(false)
  await expect(readManifest(folder.path, first)).rejects.toThrow(
    `There is no backup '${first}' in ${folder.path}, only ${third}.`,
  )
  expect(objects()).toHaveLength(2)
  expect((await verifyBackup(folder.path)).problems).toEqual([])
  expect((await server.client.runs.get({ run_id })).run.info.run_name).toBe('grows')
})

test('a damaged backup is told from a whole one, and is not restored', async () => {
  await using server = await startServer()
  await using folder = await temporaryFolder()
  const { artifact_uri } = await fillRun(server, '0', 'precious')
  const id = await backUpServer(server, folder.path)
  const [target] = await targets(join(folder.path, 'target'))
  if (target === undefined) throw new Error('there is a target')
  const object = readdirSync(join(folder.path, 'objects'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder.path, 'objects', name))
    .find((path) => statSync(path).isFile() && readFileSync(path, 'utf8') === 'loss of precious')
  const table = join(folder.path, 'snapshots', id, 'param.jsonl.zst')

  writeFileSync(object ?? '', 'loss of PRECIOUS')
  expect((await verifyBackup(folder.path)).problems).toEqual([
    `The bytes of ${artifact_uri}/plots/loss.txt have another checksum.`,
  ])
  const attempt = restore({ folder: folder.path, ...target, print })
  await expect(attempt).rejects.toThrow(`Backup ${id} is damaged: The bytes of`)
  writeFileSync(object ?? '', 'loss of precious')
  const whole = readFileSync(table)
  writeFileSync(table, whole.subarray(0, whole.length - 6))
  expect((await verifyBackup(folder.path)).problems[0]).toMatch(/^Table param cannot be read/)
  rmSync(table)
  expect((await verifyBackup(folder.path)).problems[0]).toMatch(/^Table param cannot be read/)
  writeFileSync(table, whole)
  expect((await verifyBackup(folder.path)).problems).toEqual([])
  expect(existsSync(target.settings.artifactsDestination)).toBe(false)
})

test('a restore refuses a database or a store that holds anything, and goes on where it was cut short', async () => {
  await using server = await startServer()
  await using folder = await temporaryFolder()
  const { artifact_uri, run_id } = await fillRun(server, '0', 'once')
  const backups = join(folder.path, 'backups')
  const id = await backUpServer(server, backups)
  const [target] = await targets(folder.path)
  if (target === undefined) throw new Error('there is a target')
  const { database, settings } = server.config

  const onServer = restore({ folder: backups, database, settings: target.settings, print })
  await expect(onServer).rejects.toThrow('Restore into an empty database')
  expect((await server.client.runs.get({ run_id })).run.data.params).toHaveLength(1)
  const onFiles = restore({ folder: backups, database: target.database, settings, print })
  await expect(onFiles).rejects.toThrow('Restore into an empty store')
  expect(readFileSync(artifactFile(server, artifact_uri, 'plots/loss.txt'), 'utf8')).toBe(
    'loss of once',
  )

  await withDatabase(target.database, 'write', (db) =>
    db.insertInto('store').values({ key: 'restore', value: id }).execute(),
  )
  const half = join(target.settings.artifactsDestination, artifact_uri.replace(/^[^/]*\//, ''))
  mkdirSync(half, { recursive: true })
  writeFileSync(join(half, 'half.txt'), 'of a restore that was killed')
  await restore({ folder: backups, ...target, print })
  expect(readFileSync(join(half, 'plots/loss.txt'), 'utf8')).toBe('loss of once')
  const again = restore({ folder: backups, ...target, print })
  await expect(again).rejects.toThrow('Restore into an empty database')
})

test('a folder with something else in it is left alone', async () => {
  await using server = await startServer()
  await using folder = await temporaryFolder()
  writeFileSync(join(folder.path, 'thesis.txt'), 'mine')

  await expect(backUpServer(server, folder.path)).rejects.toThrow('Choose an empty directory')

  expect(readdirSync(folder.path)).toEqual(['thesis.txt'])
  await expect(verifyBackup(folder.path)).rejects.toThrow('There is no complete backup in')
})
