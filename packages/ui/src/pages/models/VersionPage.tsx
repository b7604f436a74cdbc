export async function loader(_input?: unknown) {}
export function VersionPage() {
  return null
}
