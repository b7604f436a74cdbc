/**
 * Where a link of MLflow's own pages leads here, such as the `#/experiments/1/runs/abc` that every
 * Python client prints; undefined when the hash is not such a link.
 */
export function pathOfHash(hash: string): string | undefined {
  if (!hash.startsWith('#/')) return undefined
  const [path = '/', search = ''] = hash.slice(1).split('?')
  const query = new URLSearchParams(search)
  const run = /^\/experiments\/([^/]+)\/runs\/([^/]+)(?:\/(.*))?$/.exec(path)
  if (run) return `/experiments/${run[1]}/runs/${run[2]}${tabOf(run[3])}`
  const experiment = /^\/experiments\/([^/]+)(?:\/.*)?$/.exec(path)
  if (experiment) return `/experiments/${experiment[1]}`
  if (path === '/compare-runs') return `/compare?runs=${jsonList(query.get('runs')).join(',')}`
  const version = /^\/models\/([^/]+)\/versions\/([^/]+)/.exec(path)
  if (version) return `/models/${version[1]}/versions/${version[2]}`
  const model = /^\/models\/([^/]+)/.exec(path)
  if (model) return `/models/${model[1]}`
  return path === '/models' ? '/models' : '/experiments'
}

function tabOf(rest: string | undefined): string {
  if (rest === undefined || !/^(artifacts|artifactPath)\b/.test(rest)) return ''
  const path = rest.replace(/^[^/]*\/?/, '')
  const shown = path === '' ? '' : `&path=${encodeURIComponent(decodeURIComponent(path))}`
  return `?tab=artifacts${shown}`
}

function jsonList(text: string | null): string[] {
  try {
    const list: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(list) ? list.map(String) : []
  } catch {
    return []
  }
}
