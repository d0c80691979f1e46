interface Choice {
  readonly name: string;
  readonly spec: { readonly nodeSelector: Readonly<Record<string, string>>; readonly priority: number };
}

/** Of the objects that select a node the one that holds: the highest priority, then the first by name. */
export function holdingFor<T extends Choice>(
  labels: Readonly<Record<string, string>>,
  objects: Iterable<T>,
): T | undefined {
  const selecting = [...objects].filter(({ spec }) => selectsNode(spec.nodeSelector, labels));
  return selecting.sort((a, b) => b.spec.priority - a.spec.priority || (a.name < b.name ? -1 : 1))[0];
}

export function selectsNode(
  nodeSelector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(nodeSelector).every(([key, value]) => labels[key] === value);
}
