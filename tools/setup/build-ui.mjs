import { buildUi } from './ui-build.mjs'

await buildUi(process.execPath)
