import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArtifactPath } from '@millrace/artifacts/artifact-path'
import { DEFAULT_S3_OPTIONS } from '@millrace/artifacts/s3-options'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  S3_CREDENTIALS,
  type S3Server,
  s3ServerNames,
  startS3Server,
} from '../../../artifacts/test/s3-servers.ts'
import { emptyServerDatabase, sqliteFile } from '../../test/shared-database.ts'
import { startServer, type TestServer } from '../../test/start-server.ts'
import { fillRun, writeArtifact } from '../../test/stored-things.ts'
import { temporaryFolder } from '../../test/temporary-folder.ts'
import { proxiedStore } from '../artifacts/artifact-root.ts'
import { measureTree } from './artifact-tree.ts'
import { backUp } from './backup.ts'
import { collectGarbage } from './collect-garbage.ts'
import { restore } from './restore.ts'
import { verifyBackup } from './verify-backup.ts'

const print = () => {}

describe('a full disk', () => {
  /** Mounts a small file system of its own; undefined where that is not allowed. */
  function mountDisk(path: string, sizeBytes: number): Disposable | undefined {
    mkdirSync(path)
    const options = ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', path]
    if (spawnSync('mount', options).status !== 0) return undefined
    return { [Symbol.dispose]: () => void spawnSync('umount', ['--lazy', path]) }
  }

  test('ends a backup in one sentence and leaves none that looks whole, and the earlier one as it was', async (context) => {
    await using folder = await temporaryFolder()
    const disk = join(folder.path, 'disk')
    using mounted = mountDisk(disk, 1024 * 1024)
    if (mounted === undefined) return context.skip('a small file system cannot be mounted here')
    await using server = await startServer()
    const { database, settings } = server.config
    const { artifact_uri } = await fillRun(server, '0', 'grows')
    const backups = join(disk, 'backups')
    const first = await backUp({ folder: backups, database, settings, print })
    await writeArtifact(server, artifact_uri, 'big.bin', 'x'.repeat(2 * 1024 * 1024))

    const attempt = backUp({ folder: backups, database, settings, print })
    await expect(attempt).rejects.toThrow(`The disk of ${backups} is full. No backup was made.`)

    expect(readdirSync(join(backups, 'snapshots'))).toEqual([first])
    expect((await verifyBackup(backups)).problems).toEqual([])
    const empty = join(disk, 'tiny')
    const none = backUp({ folder: empty, database, settings, print })
    await expect(none).rejects.toThrow('No backup was made')
    await expect(verifyBackup(empty)).rejects.toThrow('There is no complete backup in')
  })
})

describe('artifacts in S3', () => {
  let s3: S3Server
  beforeAll(async () => {
    for (const [name, value] of Object.entries(S3_CREDENTIALS)) vi.stubEnv(name, value)
    s3 = await startS3Server(s3ServerNames()[0] ?? 's3rver')
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await s3[Symbol.asyncDispose]()
  })

  async function serverOnS3(prefix: string): Promise<TestServer> {
    return startServer((config) => ({
      ...config,
      settings: {
        ...config.settings,
        artifactsDestination: `s3://${s3.bucket}/${prefix}`,
        s3: { ...DEFAULT_S3_OPTIONS, endpoint: s3.endpoint },
      },
    }))
  }

  test('are purged with their run, and come back from a backup into another bucket', async () => {
    await using server = await serverOnS3('first')
    await using folder = await temporaryFolder()
    const { client, config } = server
    const store = proxiedStore(config.settings)
    const put = async (name: string) => {
      const { run } = await client.runs.create({ experiment_id: '0', run_name: name })
      const { run_id } = run.info
      const path = parseArtifactPath(`0/${run_id}/artifacts/deep/${name}.txt`)
      await store.write(
        path,
        (async function* () {
          yield Buffer.from(`bytes of ${name}`)
        })(),
      )
      return { run_id, path }
    }
    const kept = await put('kept')
    const gone = await put('gone')
    await client.runs.delete({ run_id: gone.run_id })
    const { database, settings } = config

    await collectGarbage({ database, settings, query: {}, isTrial: false, print })
    expect(await measureTree({ store, base: parseArtifactPath('') })).toEqual({
      files: 1,
      bytes: 'bytes of kept'.length,
    })
    await backUp({ folder: folder.path, database, settings, print })

    const target = (await emptyServerDatabase()) ?? sqliteFile(join(folder.path, 'target.db'))
    const elsewhere = { ...settings, artifactsDestination: `s3://${s3.bucket}/second` }
    await restore({ folder: folder.path, database: target, settings: elsewhere, print })
    const { body } = await proxiedStore(elsewhere).open(kept.path)
    const chunks: Buffer[] = []
    for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk)
    expect(Buffer.concat(chunks).toString()).toBe('bytes of kept')
    const again = restore({
      folder: folder.path,
      database: sqliteFile(join(folder.path, 'third.db')),
      settings: elsewhere,
      print,
    })
    await expect(again).rejects.toThrow(`s3://${s3.bucket}/second holds files`)
    expect(existsSync(join(folder.path, 'snapshots'))).toBe(true)
  })
})
