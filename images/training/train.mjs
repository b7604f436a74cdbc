#!/usr/local/bin/node
// What SageMaker starts as `train` in a base that nobody has added code to.
import { mkdirSync, writeFileSync } from 'node:fs'

const reason =
  'This image holds no program to train: add one with `millrace images build training --code DIR`, ' +
  'where DIR has an executable file named train.'

process.stderr.write(`${reason}\n`)
mkdirSync('/opt/ml/output', { recursive: true })
writeFileSync('/opt/ml/output/failure', reason)
process.exitCode = 1
