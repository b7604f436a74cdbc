import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DEFAULT_S3_OPTIONS } from '@millrace/artifacts/s3-options'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import {
  S3_CREDENTIALS,
  type S3Server,
  s3ServerNames,
  startS3Server,
} from '../../../artifacts/test/s3-servers.ts'
import { emptyServerDatabase, sqliteFile } from '../../test/shared-database.ts'
import { startServer, type TestServer } from '../../test/start-server.ts'
import { fillRun } from '../../test/stored-things.ts'
import { temporaryFolder } from '../../test/temporary-folder.ts'
import { createApp } from '../app.ts'
import type { Settings } from '../config.ts'
import { backUpToArchive, isArchive, withArchive } from './backup-archive.ts'
import { restore } from './restore.ts'
import { verifyBackup } from './verify-backup.ts'

const print = () => {}

let s3: S3Server
let server: TestServer
let run_id: string
let settings: Settings
beforeAll(async () => {
  for (const [name, value] of Object.entries(S3_CREDENTIALS)) vi.stubEnv(name, value)
  s3 = await startS3Server(s3ServerNames()[0] ?? 's3rver')
  server = await startServer()
  run_id = (await fillRun(server, '0', 'kept')).run_id
  settings = { ...server.config.settings, s3: { ...DEFAULT_S3_OPTIONS, endpoint: s3.endpoint } }
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await server.close()
  await s3[Symbol.asyncDispose]()
})

/** The run as a server tells it that has nothing but what was restored from `place`. */
async function restoreFrom(place: string, folder: string) {
  const database = (await emptyServerDatabase()) ?? sqliteFile(join(folder, 'target.db'))
  const elsewhere = { ...settings, artifactsDestination: join(folder, 'elsewhere') }
  await withArchive(place, elsewhere, (from) =>
    restore({ folder: from, database, settings: elsewhere, print }),
  )
  const app = await createApp({ ...server.config, database, settings: elsewhere })
  const url = `/api/2.0/mlflow/runs/get?run_id=${run_id}`
  const { body } = await app.http.inject({ url, headers: { host: 'localhost' } })
  await app.close()
  return { run: JSON.parse(body) as unknown, database, settings: elsewhere }
}

test.each([
  ['a file', (folder: string) => join(folder, 'new', 'all.tar')],
  ['an object in a bucket', () => `s3://${s3.bucket}/backups/all.tar`],
])(
  'a backup in %s is restored, to the last row and file, and is not written over',
  { timeout: 360_000 },
  async (_, at) => {
    await using folder = await temporaryFolder()
    const place = at(folder.path)
    expect(isArchive(place)).toBe(true)
    const { database } = server.config

    await backUpToArchive(place, { database, settings, print })
    const restored = await restoreFrom(place, folder.path)

    expect(restored.run).toEqual(
      JSON.parse(JSON.stringify(await server.client.runs.get({ run_id }))),
    )
    const files = readdirSync(join(folder.path, 'elsewhere'), { recursive: true }).map(String)
    expect(files.filter((name) => /loss\.txt$|MLmodel$/.test(name))).toHaveLength(2)
    const again = backUpToArchive(place, { database, settings, print })
    await expect(again).rejects.toThrow(`${place} is there already`)
    const { settings: occupied } = restored
    const over = withArchive(place, occupied, (from) =>
      restore({
        folder: from,
        database: sqliteFile(join(folder.path, 'third.db')),
        settings: occupied,
        print,
      }),
    )
    await expect(over).rejects.toThrow('holds files')
  },
)

test('any tar reads it, and what is damaged, cut short or something else is refused in a sentence', {
  timeout: 360_000,
}, async () => {
  await using folder = await temporaryFolder()
  const place = join(folder.path, 'all.tar')
  await backUpToArchive(place, { database: server.config.database, settings, print })
  const whole = readFileSync(place)
  expect(readdirSync(folder.path)).toEqual(['all.tar'])

  const { stdout, status } = spawnSync('tar', ['-tf', place], { encoding: 'utf8' })
  expect(status).toBe(0)
  expect(stdout).toMatch(/^snapshots\/[\w-]+\/manifest\.json$/m)
  const verify = () => withArchive(place, settings, (from) => verifyBackup(from))
  expect((await verify()).problems).toEqual([])

  const damaged = Buffer.from(whole)
  const at = whole.indexOf('loss of kept')
  damaged[at] = 0x4c
  writeFileSync(place, damaged)
  expect((await verify()).problems).toEqual([expect.stringContaining('another checksum')])

  writeFileSync(place, whole)
  truncateSync(place, whole.length - 2000)
  await expect(verify()).rejects.toThrow(`${place} cannot be restored. The archive ends too early.`)

  writeFileSync(place, 'x'.repeat(2000))
  await expect(verify()).rejects.toThrow('This is no tar archive')

  writeFileSync(join(folder.path, 'evil'), 'x')
  spawnSync('tar', [
    '-cf',
    place,
    '-P',
    '--transform',
    's,evil,../evil,',
    '-C',
    folder.path,
    'evil',
  ])
  await expect(verify()).rejects.toThrow("'../evil' is in no backup")
})
