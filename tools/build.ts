import { rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { type Plugin, rolldown } from 'rolldown'
import bundle from '../packages/cli/bin/bundle.cjs'
import { root } from './setup/step.mjs'

const packages = join(root, 'packages')
const runner = join(packages, 'sagemaker-local', 'src', 'runner')

/**
 * Bundles the command line with everything it needs into a folder: one file to read in place
 * of some six hundred, and no types to strip, on the main thread and again on the writer's. The
 * launcher takes it only while the sources are as they were; `node packages/cli/src/main.ts` always
 * runs the sources.
 */
export async function build(folder: string): Promise<void> {
  const bundled = await rolldown({
    cwd: root,
    platform: 'node',
    plugins: [keepSourceUrls(folder)],
    onLog(level, log) {
      // What cannot be found would be left to the moment when somebody needs it.
      if (level !== 'info' && level !== 'debug') throw new Error(log.message)
    },
    input: {
      main: join(packages, 'cli', 'src', 'main.ts'),
      // Found by their names beside the files that start them: `sqlite-database.ts`,
      // `runner-process.ts`, `instance.ts` and `open-relay.ts`.
      'writer-thread': join(packages, 'server', 'src', 'db', 'writer-thread.ts'),
      'runner-main': join(runner, 'runner-main.ts'),
      supervisor: join(runner, 'instance', 'supervisor.ts'),
      'network-relay': join(runner, '..', 'endpoints', 'network-relay.ts'),
    },
  })
  await bundled.write({
    dir: folder,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
  })
  await bundled.close()
}

/**
 * `import.meta.url` stays where the source is, so that what lies beside the sources is found from
 * there; `import.meta.filename` is the file that runs.
 */
function keepSourceUrls(folder: string): Plugin {
  return {
    name: 'keep-source-urls',
    transform(code, id) {
      if (!id.startsWith(packages) || !code.includes('import.meta.url')) return null
      const source = JSON.stringify(relative(folder, id))
      return code.replaceAll('import.meta.url', `new URL(${source}, import.meta.url).href`)
    },
  }
}

if (import.meta.main) {
  const { folder, stamp } = bundle.bundleOf()
  // Described before they are read: a file that changes meanwhile makes the bundle stale.
  const sources = bundle.describeSources()
  rmSync(folder, { recursive: true, force: true })
  await build(folder)
  writeFileSync(stamp, sources ?? '')
}
