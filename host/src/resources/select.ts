import type { NodeConfigRecord } from "../cluster/records.js";

/** The NodeConfig that holds for a node: of those that select it the highest priority, then the first by name. */
export function nodeConfigFor(
  labels: Readonly<Record<string, string>>,
  configs: Iterable<NodeConfigRecord>,
): NodeConfigRecord | undefined {
  const selecting = [...configs].filter(({ spec }) =>
    Object.entries(spec.nodeSelector).every(([key, value]) => labels[key] === value),
  );
  return selecting.sort((a, b) => b.spec.priority - a.spec.priority || (a.name < b.name ? -1 : 1))[0];
}
