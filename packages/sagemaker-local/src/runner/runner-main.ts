import { readFileSync } from 'node:fs'
import type { PlaneSettings } from '../plane-settings.ts'
import { startBeating } from './beat.ts'
import { jobKinds } from './job-kinds.ts'
import { runJobs } from './runner.ts'

/** The runner as a process: `node runner-main.ts <settings file>`, which the control plane writes. */
const [, , settingsFile = ''] = process.argv
// Written by `startRunner` from the same type, in a folder that only its owner can write to.
const settings = JSON.parse(readFileSync(settingsFile, 'utf8')) as PlaneSettings

const end = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => end.abort())

const orphaned = new AbortController()
process.on('disconnect', () => orphaned.abort())
startBeating()

await runJobs({
  settings,
  kinds: jobKinds,
  signal: end.signal,
  orphaned: orphaned.signal,
  log: (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`),
})
process.exit(0)
