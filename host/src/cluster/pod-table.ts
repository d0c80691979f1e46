import { PodRows } from "./pod-rows.js";
import type { PodRecord } from "./records.js";

/** Pods of a namespace, as policies see them. */
export interface NamespacePods {
  /** Rows by the pods' names. */
  readonly rows: ReadonlyMap<string, number>;
  /** Another one after every change; unique over all namespaces. */
  readonly version: number;
}

interface Group {
  readonly rows: Map<string, number>;
  version: number;
}

/**
 * The cluster's pods, in as few bytes as they can be: whole records of this node's own; and rows of what policies need to know of all
 * pods, while there are policies. Pods on the host's network and those that have ended are no pods to a policy.
 */
export class PodTable {
  private readonly own = new Map<string, PodRecord>();
  private readonly groups = new Map<string, Group>();
  /** By namespace/name: addresses that this node's pods were given, which the API learns later. */
  private given: ReadonlyMap<string, readonly string[]> = new Map();
  private rows = new PodRows();
  private changes = 0;
  private keepsAll = false;

  constructor(readonly node: string) {}

  /** Whether pods of other nodes are kept. */
  get keepsOthers(): boolean {
    return this.keepsAll;
  }

  /** Forgets all pods, and keeps those of other nodes from now on. */
  keepOthers(): void {
    this.keepsAll = true;
    this.own.clear();
    this.groups.clear();
    this.rows = new PodRows();
  }

  /** @returns whether anything changed that is kept */
  set(key: string, pod: PodRecord): boolean {
    const isOwn = pod.node === this.node;
    const wasOwn = this.own.delete(key);
    if (isOwn) this.own.set(key, pod);
    return this.place(key, pod) || wasOwn || isOwn;
  }

  delete(key: string): boolean {
    const wasOwn = this.own.delete(key);
    return this.removeRow(key) || wasOwn;
  }

  /** @returns whether a policy may see a pod at another address than before */
  give(given: ReadonlyMap<string, readonly string[]>): boolean {
    const before = this.given;
    this.given = given;
    let hasChanged = false;
    for (const key of new Set([...before.keys(), ...given.keys()])) {
      const pod = this.own.get(key);
      if (pod !== undefined && this.place(key, pod)) hasChanged = true;
    }
    return hasChanged;
  }

  record(key: string): PodRecord | undefined {
    const row = this.rowOf(key);
    return this.own.get(key) ?? (row === undefined ? undefined : this.recordOf(key, row));
  }

  /** Of this node. */
  get(namespace: string, name: string): PodRecord | undefined {
    return this.own.get(`${namespace}/${name}`);
  }

  *keys(): Generator<string> {
    yield* this.own.keys();
    for (const [key] of this.others()) yield key;
  }

  /** All that is kept. */
  *records(): Generator<[key: string, pod: PodRecord]> {
    yield* this.own;
    for (const [key, row] of this.others()) yield [key, this.recordOf(key, row)];
  }

  get size(): number {
    let size = 0;
    for (const { rows } of this.groups.values()) size += rows.size;
    for (const key of this.own.keys()) if (this.rowOf(key) === undefined) size++;
    return size;
  }

  /** Those that have pods for policies. */
  namespaces(): Iterable<string> {
    return this.groups.keys();
  }

  inNamespace(namespace: string): NamespacePods | undefined {
    return this.groups.get(namespace);
  }

  nodeOf(row: number): string | undefined {
    return this.rows.nodeOf(row);
  }

  labelsOf(row: number): PodRecord["labels"] {
    return this.rows.labelsOf(row);
  }

  portsOf(row: number): PodRecord["ports"] {
    return this.rows.portsOf(row);
  }

  addressesOf(row: number): string[] {
    return this.rows.addressesOf(row);
  }

  /** @returns whether anything changed for policies */
  private place(key: string, pod: PodRecord): boolean {
    if (!this.keepsAll) return false;
    const ips = (this.own.has(key) ? this.given.get(key) : undefined) ?? pod.ips;
    const hasEnded = pod.phase === "Succeeded" || pod.phase === "Failed";
    if (hasEnded || pod.hostNetwork === true || ips.length === 0) return this.removeRow(key);
    const fields = { ...pod, ips: [...ips] };
    const row = this.rowOf(key);
    if (row === undefined) this.addRow(key, this.rows.add(fields));
    else if (!this.rows.set(row, fields)) return false;
    this.touch(key);
    return true;
  }

  private addRow(key: string, row: number): void {
    const [namespace, name] = partsOf(key);
    const group = this.groups.get(namespace) ?? { rows: new Map<string, number>(), version: 0 };
    this.groups.set(namespace, group);
    group.rows.set(name, row);
  }

  private removeRow(key: string): boolean {
    const row = this.rowOf(key);
    if (row === undefined) return false;
    const [namespace, name] = partsOf(key);
    const group = this.groups.get(namespace);
    group?.rows.delete(name);
    this.rows.remove(row);
    if (group?.rows.size === 0) this.groups.delete(namespace);
    else this.touch(key);
    return true;
  }

  private touch(key: string): void {
    const group = this.groups.get(partsOf(key)[0]);
    if (group !== undefined) group.version = ++this.changes;
  }

  private rowOf(key: string): number | undefined {
    const [namespace, name] = partsOf(key);
    return this.groups.get(namespace)?.rows.get(name);
  }

  /** Pods of other nodes. */
  private *others(): Generator<[key: string, row: number]> {
    for (const [namespace, { rows }] of this.groups) {
      for (const [name, row] of rows) {
        const key = `${namespace}/${name}`;
        if (!this.own.has(key)) yield [key, row];
      }
    }
  }

  private recordOf(key: string, row: number): PodRecord {
    const [namespace, name] = partsOf(key);
    return { namespace, name, uid: "", phase: "Running", annotations: {}, ...this.rows.fields(row) };
  }
}

function partsOf(key: string): [namespace: string, name: string] {
  const slash = key.indexOf("/");
  return [key.slice(0, slash), key.slice(slash + 1)];
}
