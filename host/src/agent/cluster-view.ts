import type { z } from "zod";
import {
  BLOCKS_PREFIX,
  MIRROR_PREFIX,
  MIRRORED,
  type MirroredKind,
  mirrorPrefix,
  NODE_IDS_PREFIX,
  PLUGINS_PREFIX,
} from "../cluster/keys.js";
import { PackedSlice } from "../cluster/packed-slice.js";
import { PodTable } from "../cluster/pod-table.js";
import {
  type BlockRecord,
  blockRecord,
  endpointSliceRecord,
  type IpPoolRecord,
  ipPoolRecord,
  type NamespaceRecord,
  type NetworkPolicyRecord,
  type NodeConfigRecord,
  type NodeRecord,
  namespaceRecord,
  networkPolicyRecord,
  nodeConfigRecord,
  nodeIdRecord,
  nodeRecord,
  type PipelineRecord,
  type PluginRecord,
  pipelineRecord,
  pluginRecord,
  podRecord,
  type ServiceCidrRecord,
  type ServiceRecord,
  serviceCidrRecord,
  serviceRecord,
} from "../cluster/records.js";

/** What a change is about: who computes something looks at its own only. */
export type Aspect = MirroredKind | "blocks" | "ids" | "plugins";

interface Records {
  namespaces: NamespaceRecord;
  nodes: NodeRecord;
  services: ServiceRecord;
  endpointslices: PackedSlice;
  networkpolicies: NetworkPolicyRecord;
  nodeconfigs: NodeConfigRecord;
  ippools: IpPoolRecord;
  servicecidrs: ServiceCidrRecord;
  pipelines: PipelineRecord;
  plugins: PluginRecord;
}

/** Without a record: it is gone. Records of pods are in the view. */
export type ViewChange =
  | { [Kind in keyof Records]: { aspect: Kind; name: string; record?: Records[Kind] } }[keyof Records]
  | { aspect: "pods" | "blocks" | "ids"; name: string; record?: undefined };

/** All that the agent knows of the cluster, as etcd has it: records by their keys below their prefix. */
export class ClusterView {
  readonly namespaces = new Map<string, NamespaceRecord>();
  readonly nodes = new Map<string, NodeRecord>();
  readonly services = new Map<string, ServiceRecord>();
  readonly endpointslices = new Map<string, PackedSlice>();
  readonly networkpolicies = new Map<string, NetworkPolicyRecord>();
  readonly nodeconfigs = new Map<string, NodeConfigRecord>();
  readonly ippools = new Map<string, IpPoolRecord>();
  readonly servicecidrs = new Map<string, ServiceCidrRecord>();
  readonly pipelines = new Map<string, PipelineRecord>();
  /** Counts changes of Pipelines. */
  pipelineChanges = 0;
  /** The users'. */
  readonly plugins = new Map<string, PluginRecord>();
  readonly blocks = new Map<string, BlockRecord>();
  /** This node's. */
  id: number | undefined;
  readonly pods: PodTable;
  /** Keys whose values can't be used, of a newer version or not of Sluice, with why. What was known of them stays. */
  readonly bad = new Map<string, string>();

  constructor(
    readonly node: string,
    /** Told of each change that is kept. */
    private readonly told: (change: ViewChange) => void = () => undefined,
  ) {
    this.pods = new PodTable(node);
  }

  /** Pods of other nodes matter where there are policies, and only there; once they do, all pods must be told anew. */
  get lacksPods(): boolean {
    return this.networkpolicies.size > 0 && !this.pods.keepsOthers;
  }

  /** Forgets all pods, and keeps those of other nodes from now on. */
  keepAllPods(): void {
    this.pods.keepOthers();
  }

  /** @param value absent: deleted. @returns what it was about; undefined where nothing changed that is kept */
  apply(key: string, value: string | undefined): Aspect | undefined {
    const place = placeOf(key);
    if (place === undefined) return undefined;
    this.bad.delete(key);
    try {
      if (!this.set(place.aspect, place.name, value)) return undefined;
      this.tell(place.aspect, place.name);
      return place.aspect;
    } catch (error) {
      if (!(error instanceof InvalidRecord)) throw error;
      this.bad.set(key, error.message);
      return undefined;
    }
  }

  /** How many records are kept. */
  get size(): number {
    const parts = [...Object.values(this.maps), this.plugins, this.blocks, this.pods];
    return parts.reduce((sum, { size }) => sum + size, 0);
  }

  /** All that is kept, by its keys and in JSON. */
  *records(): Generator<[key: string, value: string]> {
    for (const [kind, map] of Object.entries(this.maps)) {
      for (const [name, record] of map) yield [mirrorPrefix(kind as MirroredKind) + name, JSON.stringify(record)];
    }
    for (const [name, block] of this.blocks) yield [BLOCKS_PREFIX + name, JSON.stringify(block)];
    for (const [name, plugin] of this.plugins) yield [PLUGINS_PREFIX + name, JSON.stringify(plugin)];
    for (const [name, pod] of this.pods.records()) yield [mirrorPrefix("pods") + name, JSON.stringify(pod)];
    if (this.id !== undefined) yield [NODE_IDS_PREFIX + this.node, JSON.stringify({ node: this.node, id: this.id })];
  }

  keysOf(aspect: Aspect): string[] {
    switch (aspect) {
      case "blocks":
        return [...this.blocks.keys()].map((name) => BLOCKS_PREFIX + name);
      case "plugins":
        return [...this.plugins.keys()].map((name) => PLUGINS_PREFIX + name);
      case "ids":
        return this.id === undefined ? [] : [NODE_IDS_PREFIX + this.node];
      case "pods":
        return [...this.pods.keys()].map((name) => mirrorPrefix("pods") + name);
      default:
        return [...this.maps[aspect].keys()].map((name) => mirrorPrefix(aspect) + name);
    }
  }

  private get maps() {
    const { namespaces, nodes, services, endpointslices, networkpolicies } = this;
    const { nodeconfigs, ippools, servicecidrs, pipelines } = this;
    return {
      namespaces,
      nodes,
      services,
      endpointslices,
      networkpolicies,
      nodeconfigs,
      ippools,
      servicecidrs,
      pipelines,
    };
  }

  private tell(aspect: Aspect, name: string): void {
    if (aspect === "blocks" || aspect === "ids" || aspect === "pods") this.told({ aspect, name });
    else this.told({ aspect, name, record: this[aspect].get(name) } as ViewChange);
  }

  private set(aspect: Aspect, name: string, value: string | undefined): boolean {
    switch (aspect) {
      case "pods":
        return value === undefined ? this.pods.delete(name) : this.pods.set(name, parse(podRecord, value));
      case "namespaces":
        return put(this.namespaces, name, namespaceRecord, value);
      case "nodes":
        return put(this.nodes, name, nodeRecord, value);
      case "services":
        return put(this.services, name, serviceRecord, value);
      case "endpointslices":
        return put(this.endpointslices, name, packedSlice, value);
      case "networkpolicies":
        return put(this.networkpolicies, name, networkPolicyRecord, value);
      case "nodeconfigs":
        return put(this.nodeconfigs, name, nodeConfigRecord, value);
      case "ippools":
        return put(this.ippools, name, ipPoolRecord, value);
      case "servicecidrs":
        return put(this.servicecidrs, name, serviceCidrRecord, value);
      case "pipelines":
        this.pipelineChanges++;
        return put(this.pipelines, name, pipelineRecord, value);
      case "plugins":
        return put(this.plugins, name, pluginRecord, value);
      case "blocks":
        return put(this.blocks, name, blockRecord, value);
      case "ids":
        if (name !== this.node) return false;
        this.id = value === undefined ? undefined : parse(nodeIdRecord, value).id;
        return true;
    }
  }
}

const packedSlice = endpointSliceRecord.transform((slice) => new PackedSlice(slice));

class InvalidRecord extends Error {}

function placeOf(key: string): { aspect: Aspect; name: string } | undefined {
  if (key.startsWith(BLOCKS_PREFIX)) return { aspect: "blocks", name: key.slice(BLOCKS_PREFIX.length) };
  if (key.startsWith(PLUGINS_PREFIX)) return { aspect: "plugins", name: key.slice(PLUGINS_PREFIX.length) };
  if (key.startsWith(NODE_IDS_PREFIX)) return { aspect: "ids", name: key.slice(NODE_IDS_PREFIX.length) };
  if (!key.startsWith(MIRROR_PREFIX)) return undefined;
  const end = key.indexOf("/", MIRROR_PREFIX.length);
  const kind = key.slice(MIRROR_PREFIX.length, end);
  // A part of the key, and no new text: there are many, and the watch keeps the keys.
  return Object.hasOwn(MIRRORED, kind) ? { aspect: kind as MirroredKind, name: key.slice(end + 1) } : undefined;
}

function put<Value>(
  into: Map<string, Value>,
  name: string,
  schema: z.ZodType<Value>,
  value: string | undefined,
): boolean {
  if (value === undefined) return into.delete(name);
  into.set(name, parse(schema, value));
  return true;
}

function parse<Value>(schema: z.ZodType<Value>, text: string): Value {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidRecord(String(error));
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InvalidRecord(`${issue?.path.join(".")}: ${issue?.message}`);
}
