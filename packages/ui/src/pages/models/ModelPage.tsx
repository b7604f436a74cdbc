export async function loader(_input?: unknown) {}
export function ModelPage() {
  return null
}
