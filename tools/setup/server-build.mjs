import { join } from 'node:path'
import bundle from '../../packages/cli/bin/bundle.cjs'
import { root, runStep } from './step.mjs'

/** Bundles the server with the given Node unless the bundle is made from the sources as they are. */
export async function buildServer(node) {
  if (bundle.isCurrent()) return
  await runStep({
    title: 'Building the server',
    file: node,
    args: [join(root, 'tools', 'build.ts')],
    advice: 'The output above names the file to mend.',
  })
}
