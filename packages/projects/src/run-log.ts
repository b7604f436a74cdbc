import { createWriteStream } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { joinArtifactPaths, parseArtifactPath } from '@millrace/artifacts/artifact-path'
import { parseLocation } from '@millrace/artifacts/location'
import { fileAccess } from './artifact-proxy.ts'
import type { RemoteOptions } from './remote-files.ts'

const BYTES_MAX = 256 * 2 ** 20

/** What a project writes, on its way to the artifacts of the run. */
export interface RunLog {
  write(chunk: Buffer): void
  /** Makes the log an artifact; tells where it stays when that fails. */
  keep(artifactUri: string, options: LogOptions): Promise<void>
}

export type LogOptions = Pick<RemoteOptions, 'tracking' | 'stores'> & {
  log: (line: string) => void
}

/** Starts a log in a file of its own. Every attempt at a run has another name, so none is lost. */
export async function openRunLog(startedAt: Date): Promise<RunLog> {
  const directory = await mkdtemp(join(await realpath(tmpdir()), 'millrace-log-'))
  const name = `project-${startedAt.toISOString().replaceAll(/[-:]|\.\d+/g, '')}.log`
  const path = join(directory, name)
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600 })
  let failure: Error | undefined
  file.once('error', (error) => {
    failure = error
  })
  let bytes = 0
  return {
    write(chunk) {
      if (bytes > BYTES_MAX || failure) return
      bytes += chunk.length
      file.write(bytes > BYTES_MAX ? `\n[the rest is left out: ${BYTES_MAX} bytes]\n` : chunk)
    },
    async keep(artifactUri, { log, ...options }) {
      file.end()
      await finished(file).catch(() => {})
      try {
        const access = fileAccess(parseLocation(artifactUri), options)
        if (failure) throw failure
        if (!access) throw new Error(`nothing here can write to ${artifactUri}`)
        const target = joinArtifactPaths(access.root, parseArtifactPath(`logs/${name}`))
        if (bytes > 0) await access.upload(target, path)
        await rm(directory, { recursive: true, force: true })
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        log(`What the project wrote stays in ${path}, because it could not be stored: ${reason}`)
      }
    },
  }
}
