import { spawnSync } from 'node:child_process'
import { constants, type Dirent } from 'node:fs'
import { chmod, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { InstanceSpec } from './instance-spec.ts'

const LOOK_MS = 10
const CHUNK_BYTES = 64 * 1024
const RECORD_MAGIC = 0xced7230a

/**
 * Feeds the channels that a job reads from pipes: `<channel>_0`, and the next epoch's as soon as the
 * reader has closed the last one. What is fed lies in `pipes/<channel>`, which the job does not see.
 */
export function startPipes({ pipes, isolation }: InstanceSpec, say: (line: string) => void): void {
  const inputs = join(isolation.kind === 'none' ? 'ml' : '/opt/ml', 'input', 'data')
  for (const { channel, isRecordIo } of pipes) {
    feedEpochs(join(inputs, channel), join('pipes', channel), isRecordIo).catch(
      (error: unknown) => {
        say(`[millrace] The channel ${channel} cannot be fed: ${String(error)}`)
      },
    )
  }
}

async function feedEpochs(place: string, source: string, isRecordIo: boolean): Promise<void> {
  const files = (await readdir(source, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(pathOf)
    .sort()
  for (let epoch = 0; ; epoch += 1) {
    const pipe = `${place}_${epoch}`
    const { status, stderr } = spawnSync('mkfifo', [pipe], { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
    await chmod(pipe, 0o666)
    await feed(pipe, files, isRecordIo)
    await rm(pipe, { force: true })
  }
}

function pathOf(entry: Dirent): string {
  return join(entry.parentPath, entry.name)
}

/** Writes the files one after the other until they end or the reader closes. */
async function feed(pipe: string, files: string[], isRecordIo: boolean): Promise<void> {
  await using writer = await openWhenRead(pipe)
  try {
    for (const file of files) {
      await using reader = await open(file)
      if (isRecordIo) await writeAll(writer, recordHead((await stat(file)).size))
      let bytes = 0
      const chunk = Buffer.alloc(CHUNK_BYTES)
      for (;;) {
        const { bytesRead } = await reader.read(chunk)
        if (bytesRead === 0) break
        bytes += bytesRead
        await writeAll(writer, chunk.subarray(0, bytesRead))
      }
      if (isRecordIo) await writeAll(writer, Buffer.alloc((4 - (bytes % 4)) % 4))
    }
  } catch (error) {
    // The reader has enough of this epoch.
    if (!hasCode(error, 'EPIPE')) throw error
  }
}

/** Opening a pipe waits for its reader, and would hold one of the few threads that open files. */
async function openWhenRead(pipe: string) {
  for (;;) {
    try {
      return await open(pipe, constants.O_WRONLY | constants.O_NONBLOCK)
    } catch (error) {
      if (!hasCode(error, 'ENXIO')) throw error
      await wait(LOOK_MS, undefined, { ref: false })
    }
  }
}

async function writeAll(writer: Awaited<ReturnType<typeof open>>, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += (await writer.write(bytes, at)).bytesWritten
    } catch (error) {
      if (!hasCode(error, 'EAGAIN')) throw error
      await wait(1, undefined, { ref: false })
    }
  }
}

function recordHead(sizeBytes: number): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(RECORD_MAGIC, 0)
  head.writeUInt32LE(sizeBytes & 0x1fffffff, 4)
  return head
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
