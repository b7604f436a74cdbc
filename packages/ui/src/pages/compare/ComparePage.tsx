export async function loader(_input?: unknown) {}
export function ComparePage() {
  return null
}
