import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createApp } from './app.ts'
import { DATABASES, PROFILES } from './deployment.ts'
import { estimateText, REGIONS } from './estimate.ts'

const USAGE = `node infra/src/main.ts [--profile ${PROFILES.join('|')}] [--database ${DATABASES.join('|')}] [--allowed-cidr RANGE]... [-o DIR]`

const { values } = parseArgs({
  options: {
    profile: { type: 'string', default: 'standard' },
    database: { type: 'string' },
    'allowed-cidr': { type: 'string', multiple: true, default: [] },
    output: { type: 'string', short: 'o', default: 'cdk.out' },
  },
})

try {
  const profile = PROFILES.find((name) => name === values.profile)
  const wanted = values.database ?? (profile === 'single' ? 'sqlite' : 'postgresql')
  const database = DATABASES.find((name) => name === wanted)
  if (!profile) throw new Error(`There is no profile '${values.profile}'.\n${USAGE}`)
  if (!database) throw new Error(`There is no database '${wanted}'.\n${USAGE}`)
  const deployment = { profile, database, allowedCidrs: values['allowed-cidr'] }
  const { app, stack } = createApp(deployment, values.output)
  app.synth()
  process.stdout.write(`${join(values.output, stack.templateFile)}\n`)
  for (const region of REGIONS) process.stdout.write(estimateText(deployment, region))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
