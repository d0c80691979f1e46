import type { SluiceError } from "../../errors.js";
import type { KubeApi, KubeObject } from "../../kube/api.js";
import { Informer } from "../../kube/informer.js";

/** Who has an address. */
export interface Owner {
  readonly kind: "pod" | "node" | "service";
  /** "namespace/name", of nodes the name. */
  readonly name: string;
}

export interface Node extends KubeObject {
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly nodeInfo?: { readonly kubeletVersion?: string };
  };
}

interface Pod extends KubeObject {
  readonly spec?: { readonly hostNetwork?: boolean };
  readonly status?: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

interface Service extends KubeObject {
  readonly spec?: { readonly clusterIPs?: readonly string[] };
}

/** Names of pods, services and nodes by their addresses. */
export class Names {
  readonly #owners = new Map<string, Owner>();
  readonly #api: KubeApi;

  private constructor(api: KubeApi) {
    this.#api = api;
  }

  /** As they are now. @throws SluiceError of the API */
  static async load(api: KubeApi): Promise<Names> {
    const names = new Names(api);
    const [nodes, services, pods] = await Promise.all([
      api.list<Node>("/api/v1/nodes"),
      api.list<Service>("/api/v1/services"),
      api.list<Pod>(PODS),
    ]);
    for (const { metadata, status } of nodes) {
      for (const { address } of status?.addresses ?? []) names.#set(address, "node", metadata.name);
    }
    for (const { metadata, spec } of services) {
      for (const address of spec?.clusterIPs ?? []) names.#set(address, "service", fullName(metadata));
    }
    for (const pod of pods) names.#pod(pod);
    return names;
  }

  /**
   * Keeps the pods' names as they change, until the signal is aborted. A pod that is gone keeps its address until
   * another one has it: its last packets are told of later.
   * @param failed told when changes do not come for now
   */
  async follow(signal: AbortSignal, failed: (error: SluiceError) => void): Promise<void> {
    const changed = (object: KubeObject) => this.#pod(object);
    const nothing = () => {};
    const handler = { listing: nothing, listed: nothing, changed, deleted: nothing, failed };
    await new Informer(this.#api, PODS, handler).run(signal);
  }

  of(address: string): Owner | undefined {
    return this.#owners.get(address);
  }

  /** Addresses of pods whose names match. */
  addressesOf(matches: (name: string) => boolean): string[] {
    return [...this.#owners].flatMap(([address, { kind, name }]) => (kind === "pod" && matches(name) ? [address] : []));
  }

  #pod({ metadata, spec, status }: Pod): void {
    const isOver = status?.phase === "Succeeded" || status?.phase === "Failed";
    if (spec?.hostNetwork === true || isOver) return;
    for (const { ip } of status?.podIPs ?? []) this.#set(ip, "pod", fullName(metadata));
  }

  #set(address: string, kind: Owner["kind"], name: string): void {
    this.#owners.set(address, { kind, name });
  }
}

const PODS = "/api/v1/pods";
const fullName = ({ namespace, name }: KubeObject["metadata"]) => `${namespace ?? "default"}/${name}`;
