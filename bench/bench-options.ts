import { parseArgs } from 'node:util'
import { peerNames, peersOn } from './peers.ts'
import { STORES, type Store } from './store.ts'
import { workloads } from './workloads.ts'

/** What to measure, against whom, and for how long. */
export interface BenchOptions {
  parts: string[]
  peers: string[]
  connections: number[]
  /** Of one measured cell. */
  seconds: number
  warmupSeconds: number
  rounds: number
  /** Folder of another checkout of Millrace that joins as the peer `baseline`. */
  baseline: string | undefined
  /** What every server keeps its data in. */
  store: Store
}

/** Measurements that are not requests per second. */
const OTHER_PARTS = ['start', 'client', 'space']

const USAGE = `npm run bench -- [options]
  --only <parts>        ${[...OTHER_PARTS, ...Object.keys(workloads)].join(', ')}
  --peers <names>       ${peerNames.join(', ')} (Millrace always runs)
  --connections <list>  such as 1,8,64
  --seconds <s>         length of one measurement (3)
  --warmup <s>          before it (1)
  --rounds <n>          repetitions, interleaved; the table holds medians (3)
  --store <name>        ${STORES.join(', ')} (sqlite)
  --baseline <folder>   another checkout of Millrace to compare with`

/** Reads the command line; throws with the usage when something in it is unknown. */
export function readOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      peers: { type: 'string' },
      connections: { type: 'string', default: '1,8,64' },
      seconds: { type: 'string', default: '3' },
      warmup: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '3' },
      baseline: { type: 'string' },
      store: { type: 'string', default: 'sqlite' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) throw new Error(USAGE)
  const all = [...OTHER_PARTS, ...Object.keys(workloads)]
  const store = chooseStore(values.store)
  return {
    parts: values.only === undefined ? all : choose(values.only, all),
    peers: choosePeers(values.peers, store),
    connections: list(values.connections).map(positive),
    seconds: positive(values.seconds),
    warmupSeconds: positive(values.warmup),
    rounds: positive(values.rounds),
    baseline: values.baseline,
    store,
  }
}

function chooseStore(name: string): Store {
  const store = STORES.find((each) => each === name)
  if (store === undefined) throw new Error(`'${name}' is none of ${STORES.join(', ')}`)
  return store
}

function choosePeers(text: string | undefined, store: Store): string[] {
  const able = peersOn(store)
  const chosen = text === undefined ? able : choose(text, peerNames)
  const unable = chosen.find((name) => !able.includes(name))
  if (unable !== undefined) throw new Error(`${unable} cannot keep its data in ${store}`)
  return chosen
}

function list(text: string): string[] {
  return text.split(',').filter(Boolean)
}

function choose(text: string, known: string[]): string[] {
  const wanted = list(text)
  for (const name of wanted) {
    if (!known.includes(name)) throw new Error(`'${name}' is none of ${known.join(', ')}\n${USAGE}`)
  }
  return known.filter((name) => wanted.includes(name))
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new Error(`'${text}' must be a positive number\n${USAGE}`)
  return number
}
