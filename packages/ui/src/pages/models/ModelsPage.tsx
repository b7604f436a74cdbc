export async function loader(_input?: unknown) {}
export function ModelsPage() {
  return null
}
