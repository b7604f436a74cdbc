import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import bundle from '../packages/cli/bin/bundle.cjs'
import { root } from './setup/step.mjs'

/**
 * Bundles the command line with everything it needs into a folder: one file to read in place
 * of some six hundred, and no types to strip, on the main thread and again on the writer's. The
 * launcher takes it only while the sources are as they were; `node packages/cli/src/main.ts` always
 * runs the sources.
 */
export async function build(folder: string): Promise<void> {
  const packages = join(root, 'packages')
  const bundled = await rolldown({
    cwd: root,
    platform: 'node',
    input: {
      main: join(packages, 'cli', 'src', 'main.ts'),
      // Found by its name beside the file that starts it (`sqlite-database.ts`).
      'writer-thread': join(packages, 'server', 'src', 'db', 'writer-thread.ts'),
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

if (import.meta.main) {
  const { folder, stamp } = bundle.bundleOf()
  // Described before they are read: a file that changes meanwhile makes the bundle stale.
  const sources = bundle.describeSources()
  rmSync(folder, { recursive: true, force: true })
  await build(folder)
  writeFileSync(stamp, sources ?? '')
}
