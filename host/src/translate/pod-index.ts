import type { NamespaceRecord, PodRecord, Selector } from "../cluster/records.js";
import { selects } from "./selectors.js";

/** What policies need to know of a pod. */
export interface PolicyPod {
  readonly name: string;
  readonly node: string | undefined;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: PodRecord["ports"];
}

interface Group {
  readonly pods: Map<string, PolicyPod>;
  labels: Readonly<Record<string, string>>;
  /** Another one after every change; unique over all groups. */
  version: number;
}

interface Selected {
  readonly version: number;
  readonly pods: readonly PolicyPod[];
}

/**
 * Pods by namespace. Pods on the host's network and those that have ended are no pods to a policy. What a selector selects is
 * remembered for each namespace until something there changes.
 */
export class PodIndex {
  private readonly groups = new Map<string, Group>();
  private readonly memory = new Map<string, Map<string, Selected>>();
  private changes = 0;

  setNamespace({ name, labels }: NamespaceRecord): void {
    const group = this.group(name);
    group.labels = labels;
    this.touch(group);
  }

  removeNamespace(name: string): void {
    this.groups.delete(name);
    for (const selected of this.memory.values()) selected.delete(name);
  }

  setPod(record: PodRecord): void {
    const ended = record.phase === "Succeeded" || record.phase === "Failed";
    if (ended || record.hostNetwork === true || record.ips.length === 0) {
      this.removePod(record.namespace, record.name);
      return;
    }
    const group = this.group(record.namespace);
    const { name, node, ips, labels, ports } = record;
    group.pods.set(name, { name, node, addresses: ips, labels, ports });
    this.touch(group);
  }

  removePod(namespace: string, name: string): void {
    const group = this.groups.get(namespace);
    if (group?.pods.delete(name) === true) this.touch(group);
  }

  /** Pods of one namespace. */
  inNamespace(namespace: string, selector: Selector): readonly PolicyPod[] {
    const group = this.groups.get(namespace);
    if (group === undefined) return [];
    const key = JSON.stringify(selector);
    const known = this.memory.get(key) ?? new Map<string, Selected>();
    this.memory.set(key, known);
    const remembered = known.get(namespace);
    if (remembered?.version === group.version) return remembered.pods;
    const pods = [...group.pods.values()].filter(({ labels }) => selects(selector, labels));
    known.set(namespace, { version: group.version, pods });
    return pods;
  }

  /** Pods of the namespaces that are selected. */
  inNamespaces(namespaces: Selector, selector: Selector): readonly PolicyPod[] {
    const selected = [...this.groups].filter(([, { labels }]) => selects(namespaces, labels));
    return selected.flatMap(([namespace]) => this.inNamespace(namespace, selector));
  }

  /** Forgets what selectors that are used no more selected. */
  forgetAllBut(selectors: ReadonlySet<string>): void {
    for (const key of this.memory.keys()) if (!selectors.has(key)) this.memory.delete(key);
  }

  private group(namespace: string): Group {
    const group = this.groups.get(namespace) ?? { pods: new Map(), labels: {}, version: ++this.changes };
    this.groups.set(namespace, group);
    return group;
  }

  private touch(group: Group): void {
    group.version = ++this.changes;
  }
}
