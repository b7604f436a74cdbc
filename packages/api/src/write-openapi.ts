import { writeFileSync } from 'node:fs'
import { openapi } from './openapi.ts'

writeFileSync(
  new URL('../openapi.json', import.meta.url),
  `${JSON.stringify(openapi(), undefined, 2)}\n`,
)
