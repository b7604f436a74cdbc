import { createClient } from '@millrace/client/client'
import { expect, test } from 'vitest'
import {
  createAgent,
  describeRequest,
  type FuzzAnswer,
  findFault,
  parse,
  sendRaw,
} from './fuzz-client.ts'
import { type FuzzRequest, type FuzzTarget, fuzzRequest, fuzzTargets } from './fuzz-requests.ts'
import { makeKnownThings } from './fuzz-setup.ts'
import type { KnownThings } from './fuzz-values.ts'
import { type Random, seededRandom } from './seeded-random.ts'
import {
  artifactsPath,
  databasePath,
  type ServerProcess,
  startServerProcess,
} from './server-process.ts'
import { findBrokenInvariants, sqliteFile } from './shared-database.ts'
import { temporaryFolder } from './temporary-folder.ts'

/**
 * Random requests at every endpoint. A failure names its seed; the long form is
 * `MILLRACE_FUZZ_RUNS=1000000 npx vitest run packages/server/test/fuzz.test.ts`, and
 * `MILLRACE_FUZZ_SEED=<seed> MILLRACE_FUZZ_RUNS=<number>` sends the same requests again.
 */
const RUNS = Number(process.env['MILLRACE_FUZZ_RUNS'] ?? 5000)
/** The same requests on every run of CI, so that it says something about the change alone. */
const ANY_SEED = process.env['CI'] ? 20_261_121 : Date.now() % 1_000_000_000
const SEED = Number(process.env['MILLRACE_FUZZ_SEED'] ?? ANY_SEED)
const CONNECTIONS = 16
/** Requests before everything that was deleted is made anew. */
const ROUND = 3000
const FAULTS_SHOWN = 25
/** With fewer requests an endpoint may happen to be refused every time. */
const ENOUGH_RUNS = 20_000
const STATIC_PREFIX = '/behind/proxy'

interface Tally {
  faults: Map<string, { count: number; example: string }>
  statusesById: Map<string, Set<number>>
}

test('answers every request in the terms of its contract and keeps the database whole', {
  timeout: 180_000 + RUNS * 20,
}, async () => {
  await using temporary = await temporaryFolder()
  const folder = temporary.path
  const tally: Tally = { faults: new Map(), statusesById: new Map() }
  const targets = fuzzTargets(STATIC_PREFIX)
  {
    await using server = await startServerProcess({
      folder,
      args: ['--static-prefix', STATIC_PREFIX],
    })
    for (let from = 0; from < RUNS && server.ended() === undefined; from += ROUND) {
      await runRound(server, targets, { from, to: Math.min(RUNS, from + ROUND), folder }, tally)
    }
    expect(server.ended(), `seed ${SEED}: the server ended\n${server.output()}`).toBeUndefined()
    expect((await server.terminate()).code).toBe(0)
  }

  expect.soft(report(tally), `MILLRACE_FUZZ_SEED=${SEED} MILLRACE_FUZZ_RUNS=${RUNS}`).toEqual([])
  expect
    .soft(await findBrokenInvariants(sqliteFile(databasePath(folder))), `seed ${SEED}`)
    .toEqual([])
  if (RUNS < ENOUGH_RUNS) return
  const untried = targets.filter(({ id }) => !hasBoth(tally.statusesById.get(id), id))
  expect(untried.map(({ id }) => [id, ...(tally.statusesById.get(id) ?? [])])).toEqual([])
})

interface Round {
  from: number
  to: number
  folder: string
}

async function runRound(server: ServerProcess, targets: FuzzTarget[], round: Round, tally: Tally) {
  const client = createClient({ baseUrl: server.url })
  const known = await makeKnownThings(client, server.url, `round-${round.from}`)
  const agent = createAgent(CONNECTIONS)
  let next = round.from
  const worker = async () => {
    while (next < round.to && server.ended() === undefined) {
      const random = seededRandom(SEED + next++)
      const request = fuzzRequest(random, pickTarget(random, targets), known)
      await tryOne(server, agent, request, known, round, tally)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
  agent.destroy()
  if (server.ended() === undefined) await client.experiments.search({ max_results: 1 })
}

/** Deletes and renames come seldom, or soon there would be nothing left to ask about. */
function pickTarget(random: Random, targets: FuzzTarget[]): FuzzTarget {
  const target = random.pick(targets)
  const isRare = /\.(delete|deleteProxied|rename)$/.test(target.id) && random.chance(0.8)
  return isRare ? random.pick(targets) : target
}

async function tryOne(
  { port }: ServerProcess,
  agent: ReturnType<typeof createAgent>,
  request: FuzzRequest,
  known: KnownThings,
  { folder }: Round,
  { faults, statusesById }: Tally,
) {
  const { id } = request.target
  const note = (fault: string, answer?: FuzzAnswer) => {
    const kind = `${id} ${fault.slice(0, 300)}`
    const example = `${describeRequest(request)}\n-> ${answer?.status} ${answer?.body.toString().slice(0, 500)}`
    const seen = faults.get(kind)
    if (seen === undefined) faults.set(kind, { count: 1, example })
    else seen.count++
  }
  let answer: FuzzAnswer
  try {
    answer = await sendRaw(port, request, agent)
  } catch (error) {
    note(`gave no answer: ${String(error)}`)
    return
  }
  const fault = findFault(request, answer, [databasePath(folder), artifactsPath(folder)])
  if (fault !== undefined) note(fault, answer)
  if (!request.isKnown) return
  const statuses = statusesById.get(id) ?? new Set()
  statusesById.set(id, statuses.add(answer.status))
  keepPageToken(known, answer)
}

function keepPageToken({ pageTokens }: KnownThings, { body, status }: FuzzAnswer) {
  if (status !== 200 || !body.includes('next_page_token') || pageTokens.length > 50) return
  const { next_page_token } = parse(body.toString()) as { next_page_token?: string }
  if (next_page_token !== undefined) pageTokens.push(next_page_token)
}

/** Endpoints that a local store always refuses. */
const NEVER_OK = /^artifacts\.(\w+MultipartUpload|presigned\w+)$/
/** Endpoints that take nothing that could be wrong. */
const NEVER_REFUSED = /^service\.serverInfo$/

/** Whether an endpoint was seen to work and to refuse: else the requests did not reach its code. */
function hasBoth(statuses: Set<number> | undefined, id: string): boolean {
  const all = [...(statuses ?? [])]
  const isOk = NEVER_OK.test(id) || all.some((status) => status < 300)
  return isOk && (NEVER_REFUSED.test(id) || all.some((status) => status >= 400))
}

function report({ faults }: Tally): string[] {
  return [...faults]
    .slice(0, FAULTS_SHOWN)
    .map(([kind, { count, example }]) => `${count} x ${kind}\n${example}\n`)
}
