import type { PodRecord } from "../cluster/records.js";

/** What a cluster-wide table keeps of a pod. */
interface Row {
  readonly namespace: string;
  readonly name: string;
  readonly node: string | undefined;
  readonly ips: readonly string[];
  readonly labels: PodRecord["labels"];
  readonly ports: PodRecord["ports"];
}

/**
 * The cluster's pods, as few bytes as they can be: whole records of this node's own, and of others' what policies need, while there are
 * any. Texts that many pods have in common are held once.
 */
export class PodTable {
  private readonly own = new Map<string, PodRecord>();
  private readonly others = new Map<string, Row>();
  private readonly texts = new Map<string, string>();
  private readonly labels = new Map<string, PodRecord["labels"]>();
  private readonly ports = new Map<string, PodRecord["ports"]>();

  constructor(
    private readonly node: string,
    /** Whether pods of other nodes are kept. */
    readonly keepsOthers: boolean,
  ) {}

  /** @returns whether anything changed that is kept */
  set(key: string, pod: PodRecord): boolean {
    if (pod.node === this.node) {
      this.others.delete(key);
      this.own.set(key, pod);
      return true;
    }
    const was = this.own.delete(key);
    const ended = pod.phase === "Succeeded" || pod.phase === "Failed";
    if (!this.keepsOthers || pod.hostNetwork === true || pod.ips.length === 0 || ended) {
      return this.others.delete(key) || was;
    }
    this.others.set(key, {
      namespace: this.text(pod.namespace),
      name: pod.name,
      node: pod.node === undefined ? undefined : this.text(pod.node),
      ips: pod.ips,
      labels: shared(this.labels, pod.labels),
      ports: shared(this.ports, pod.ports),
    });
    return true;
  }

  delete(key: string): boolean {
    return this.own.delete(key) || this.others.delete(key);
  }

  record(key: string): PodRecord | undefined {
    const row = this.others.get(key);
    return this.own.get(key) ?? (row === undefined ? undefined : recordOf(row));
  }

  /** Of this node. */
  get(namespace: string, name: string): PodRecord | undefined {
    return this.own.get(`${namespace}/${name}`);
  }

  *keys(): Generator<string> {
    yield* this.own.keys();
    yield* this.others.keys();
  }

  /** All that is kept. */
  *records(): Generator<[key: string, pod: PodRecord]> {
    yield* this.own;
    for (const [key, row] of this.others) yield [key, recordOf(row)];
  }

  get size(): number {
    return this.own.size + this.others.size;
  }

  private text(value: string): string {
    const known = this.texts.get(value);
    if (known !== undefined) return known;
    this.texts.set(value, value);
    return value;
  }
}

function recordOf({ node, ips, ...rest }: Row): PodRecord {
  const where = node === undefined ? {} : { node };
  return { ...rest, ...where, uid: "", phase: "Running", annotations: {}, ips: [...ips] };
}

function shared<Value>(known: Map<string, Value>, value: Value): Value {
  const key = JSON.stringify(value);
  const found = known.get(key);
  if (found !== undefined) return found;
  known.set(key, value);
  return value;
}
