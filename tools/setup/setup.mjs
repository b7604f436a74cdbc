// Started by whatever Node is on PATH, before anything is installed: Node built-ins only.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import launch from '../../packages/cli/bin/launch.cjs'
import { lock } from './lock.mjs'
import { installNpmPackages } from './npm-packages.mjs'
import { buildServer } from './server-build.mjs'
import { root } from './step.mjs'
import { buildUi } from './ui-build.mjs'

/** What each npm script hands over to once the set-up is complete. */
const COMMANDS = {
  start: { program: 'packages/cli/bin/millrace.cjs', args: ['server'], needsBuilds: true },
  test: { program: 'tools/run-tests.ts', args: [], needsBuilds: false },
  bench: { program: 'bench/main.ts', args: [], needsBuilds: true },
}

async function main() {
  const [name, ...rest] = process.argv.slice(2)
  const command = COMMANDS[name]
  if (!command) {
    throw new Error(`setup.mjs knows ${Object.keys(COMMANDS).join(', ')}; it got '${name}'.`)
  }

  let node
  const unlock = await lock(join(root, '.cache', 'setup.lock'))
  try {
    await installNpmPackages()
    node = launch.chooseNode(root)
    if (command.needsBuilds) {
      await buildUi(node)
      await buildServer(node)
    }
  } finally {
    unlock()
  }

  const program = join(root, command.program)
  if (!existsSync(program))
    throw new Error(`${command.program} is missing: is the checkout complete?`)
  const env = { NODE_COMPILE_CACHE: launch.compileCacheFolder(root), ...process.env }
  launch.become(node, [program, ...command.args, ...withoutSeparator(rest)], env)
}

/** npm swallows its own `--`; a person who calls this file directly may leave one in. */
function withoutSeparator(args) {
  return args[0] === '--' ? args.slice(1) : args
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
