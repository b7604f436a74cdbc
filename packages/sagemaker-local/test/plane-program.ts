import { startPlane } from '../src/plane.ts'

/** A control plane as a process that can be killed: `node plane-program.ts <directory>`. */
const plane = await startPlane({
  directory: process.argv[2] ?? '',
  port: 0,
  environment: process.env,
})
process.stdout.write(`${plane.url}\n`)
