import type { CoreV1Api } from '@kubernetes/client-node'
import type { ProjectJob } from './backend.ts'

export interface PodsOfJob {
  namespace: string
  /** Of the job. */
  name: string
  container: string
}

/** Shows what a job's pods have written since the last look. Never throws. */
export type LogLook = () => Promise<void>

/**
 * Looks at the logs of a job's pods time and again: a stream that is followed ends early on some
 * clusters. That logs cannot be read ends no run; it is said once.
 */
export function podLogs(
  pods: CoreV1Api,
  { namespace, name, container }: PodsOfJob,
  { onOutput, log }: Pick<ProjectJob, 'onOutput' | 'log'>,
): LogLook {
  const lastSeen = new Map<string, string>()
  let isTold = false
  const lookAt = async (pod: string) => {
    const last = lastSeen.get(pod)
    const sinceSeconds = last && Math.ceil((Date.now() - Date.parse(last)) / 1_000) + 1
    const text = await pods.readNamespacedPodLog({
      namespace,
      name: pod,
      container,
      timestamps: true,
      ...(sinceSeconds && sinceSeconds > 0 && { sinceSeconds }),
    })
    for (const line of text.split('\n')) {
      const blank = line.indexOf(' ')
      const at = comparable(line.slice(0, blank))
      if (blank < 0 || at <= (last ?? '')) continue
      lastSeen.set(pod, at)
      onOutput(Buffer.from(`${line.slice(blank + 1)}\n`), 'stdout')
    }
  }
  return async () => {
    try {
      const found = await pods.listNamespacedPod({ namespace, labelSelector: `job-name=${name}` })
      for (const { metadata, status } of found.items) {
        if (metadata?.name && status?.phase !== 'Pending') await lookAt(metadata.name)
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
      if (!isTold) log(`The logs of job ${name} cannot be read: ${reason}`)
      isTold = true
    }
  }
}

/** A timestamp with all nine digits, of which kubernetes leaves out zeros at the end. */
function comparable(timestamp: string): string {
  const [, seconds = '', fraction = ''] = /^([^.Z]+)(?:\.(\d+))?Z$/.exec(timestamp) ?? []
  return `${seconds}.${fraction.padEnd(9, '0')}Z`
}
