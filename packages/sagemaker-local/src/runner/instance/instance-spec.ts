import { z } from 'zod'

/** How the processes of an instance are kept apart from the machine. */
export type Isolation =
  /** Mount and process namespaces, as root: the job gets a user id of its own. */
  | { kind: 'namespaces'; userId: number }
  /** The same in a user namespace, as nobody special. */
  | { kind: 'user-namespace' }
  /** None: the job's files are where they are, and it is an ordinary process of this user. */
  | { kind: 'none' }

/** A metric to look for in what a job prints. */
export const MetricDefinition = z.object({
  Name: z.string().min(1).max(255),
  Regex: z.string().min(1).max(500),
})
export type MetricDefinition = z.infer<typeof MetricDefinition>

/** What the supervisor of an instance is told; it stands in `spec.json` of the instance's folder. */
export interface InstanceSpec {
  /**
   * The folder of the instance: `ml` is what the job sees as /opt/ml, `tmp` is its /tmp, `output.log`
   * and `metrics.jsonl` what it has printed, `started.json` and `exit.json` its fate.
   */
  directory: string
  /** Run one after the other, the next one if the last one ended with 0; the last one is the job. */
  steps: string[][]
  /** Of the job, so that jobs with few CPUs do not all get the same ones. */
  number?: number
  workingDirectory: string
  environment: Record<string, string>
  /** Lines of /etc/hosts besides localhost. */
  hosts: { name: string; address: string }[]
  isolation: Isolation
  hasNetwork: boolean
  /** Folders and files of the machine that stay visible, at the same place, only to be read. */
  visible: string[]
  /** Folders whose contents are hidden. */
  hidden: string[]
  /** The root of a file system to run in, in place of the machine's; what is written is apart. */
  image?: string
  limits: InstanceLimits
  /** It makes everything ready and then waits until its input tells it to begin (`armInstance`). */
  waits?: boolean
  /** How long it may take to end after it has been told to. */
  graceMs: number
  metrics: MetricDefinition[]
  /** Channels that are read from a pipe, each fed from the folder `pipes/<channel>`. */
  pipes: { channel: string; isRecordIo: boolean }[]
}

/** What an instance that waits is told when it may begin, as one line of JSON. */
export interface Beginning {
  /** When it is told to end, in ms since 1970. */
  deadlineMs?: number
  /** After how long a simulated interruption of a spot instance comes. */
  interruptAfterMs?: number
}

export interface InstanceLimits {
  memoryBytes: number
  processes: number
  diskBytes: number
  logBytes: number
  cpus: number
}

/** Why an instance ended. */
export type EndReason =
  | 'exited'
  | 'stopped'
  | 'deadline'
  | 'interrupted'
  | 'memory'
  | 'processes'
  | 'disk'
  | 'not-started'
  /** Its supervisor was killed, so that nobody knows. */
  | 'lost'

export const InstanceEnd = z.object({
  reason: z.enum([
    'exited',
    'stopped',
    'deadline',
    'interrupted',
    'memory',
    'processes',
    'disk',
    'not-started',
    'lost',
  ]),
  /** Undefined when a signal ended it. */
  code: z.number().optional(),
  signal: z.string().optional(),
  /** Which of the steps it was, from 0. */
  step: z.number(),
  /** What it wrote last to its error output. */
  errorOutput: z.string(),
  startedMs: z.number(),
  endedMs: z.number(),
})
export type InstanceEnd = z.infer<typeof InstanceEnd>

/** Which process supervises an instance; written before anything of the job is started. */
export const InstanceStart = z.object({
  pid: z.number(),
  /** Tells the process from a later one with the same number. */
  bornAt: z.string(),
  startedMs: z.number(),
})
export type InstanceStart = z.infer<typeof InstanceStart>
