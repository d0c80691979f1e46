import type { PodTable } from "../cluster/pod-table.js";
import type { NamespaceRecord, PodRecord, Selector } from "../cluster/records.js";
import { selects } from "./selectors.js";

/** Rows of the table of pods; good until one of their namespace's pods changes. */
export type PodRows = readonly number[];

interface Selected {
  readonly version: number;
  readonly rows: PodRows;
}

/** Finds pods of a table by selectors. What a selector selects is remembered for each namespace until something there changes. */
export class PodIndex {
  private readonly labels = new Map<string, NamespaceRecord["labels"]>();
  private readonly memory = new Map<string, Map<string, Selected>>();

  constructor(private readonly pods: PodTable) {}

  setNamespace({ name, labels }: NamespaceRecord): void {
    this.labels.set(name, labels);
  }

  removeNamespace(name: string): void {
    this.labels.delete(name);
    for (const selected of this.memory.values()) selected.delete(name);
  }

  /** Pods of one namespace. */
  inNamespace(namespace: string, selector: Selector): PodRows {
    const group = this.pods.inNamespace(namespace);
    if (group === undefined) return [];
    const key = JSON.stringify(selector);
    const known = this.memory.get(key) ?? new Map<string, Selected>();
    this.memory.set(key, known);
    const remembered = known.get(namespace);
    if (remembered?.version === group.version) return remembered.rows;
    const rows = [...group.rows.values()].filter((row) => selects(selector, this.pods.labelsOf(row)));
    known.set(namespace, { version: group.version, rows });
    return rows;
  }

  /** Pods of the namespaces that are selected. */
  inNamespaces(namespaces: Selector, selector: Selector): PodRows {
    const selected = [...this.pods.namespaces()].filter((name) => selects(namespaces, this.labels.get(name) ?? {}));
    return selected.flatMap((namespace) => this.inNamespace(namespace, selector));
  }

  addressesOf(rows: PodRows): string[] {
    return rows.flatMap((row) => this.pods.addressesOf(row));
  }

  nodeOf(row: number): string | undefined {
    return this.pods.nodeOf(row);
  }

  portsOf(row: number): PodRecord["ports"] {
    return this.pods.portsOf(row);
  }

  /** Forgets what selectors that are used no more selected. */
  forgetAllBut(selectors: ReadonlySet<string>): void {
    for (const key of this.memory.keys()) if (!selectors.has(key)) this.memory.delete(key);
  }
}
