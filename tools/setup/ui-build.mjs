import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow, hashOfFiles } from './stamp.mjs'
import { root, runStep } from './step.mjs'

const ui = join(root, 'packages', 'ui')
const stampFile = join(ui, 'dist', '.millrace-build')

/** Builds packages/ui into its dist folder with the given Node, when its sources are newer than that. */
export async function buildUi(node) {
  if (!existsSync(join(ui, 'vite.config.ts'))) {
    process.stderr.write('packages/ui has no vite.config.ts: the server starts without pages.\n')
    return
  }
  const stamp = hashOfFiles(root, sources())
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return

  await runStep({
    title: 'Building the pages',
    file: node,
    args: [join(root, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--logLevel', 'warn'],
    cwd: ui,
    advice: 'The output above names the file to mend.',
  })
  writeFileSync(stampFile, stamp)
}

/** Everything that ends up in the pages: theirs, and what they import from other packages. */
function sources() {
  const isSource = (name) => !['dist', 'node_modules'].includes(name) && !/\.test\.tsx?$/.test(name)
  const imported = ['api', 'client'].map((name) => join(root, 'packages', name, 'src'))
  return [
    join(root, 'package-lock.json'),
    ...[ui, ...imported].filter(existsSync).flatMap((folder) => filesBelow(folder, isSource)),
  ]
}
