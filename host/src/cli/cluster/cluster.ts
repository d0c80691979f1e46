import { suggestion } from "../../config/suggest.js";
import { DataplaneClient } from "../../dataplane/client.js";
import { SluiceError } from "../../errors.js";
import { KubeApi } from "../../kube/api.js";
import { ContainerProcess } from "../../kube/exec.js";
import { Names } from "./names.js";
import type { ClusterOptions } from "./options.js";
import { containerOf, DATAPLANE, type SluicePods, sluicePods } from "./sluice-pods.js";
import { NodeTunnel } from "./tunnel.js";

/** A node's client, and what else of the way to it there is to be closed. */
export interface NodeConnection {
  readonly node: string;
  readonly client: DataplaneClient;
  /** What an error of the client is about. */
  explained(error: unknown): unknown;
  close(): Promise<void>;
}

/** A cluster that Sluice is installed on, as somebody with a kubeconfig reaches it. */
export class ClusterAccess {
  readonly api: KubeApi;
  /** Where Sluice is installed; absent: wherever its pods are. */
  readonly namespace: string | undefined;
  #pods: Promise<SluicePods> | undefined;

  constructor(api: KubeApi, namespace?: string) {
    this.api = api;
    this.namespace = namespace;
  }

  /** @throws SluiceError "kubeconfig" */
  static load({ kubeconfig, context, namespace }: ClusterOptions): ClusterAccess {
    return new ClusterAccess(KubeApi.load(kubeconfig, context), namespace);
  }

  /** Here, and imported by no command: it brings the Kubernetes client, which takes longer to load than most commands run. */
  names(): Promise<Names> {
    return Names.load(this.api);
  }

  /** Looked up once. */
  pods(): Promise<SluicePods> {
    this.#pods ??= sluicePods(this.api, this.namespace);
    return this.#pods;
  }

  /** As they are now. */
  async freshPods(): Promise<SluicePods> {
    this.#pods = undefined;
    return this.pods();
  }

  /** The nodes that run Sluice, in order; only those named, where some are. @throws SluiceError "unknown-node" */
  async nodes(only: readonly string[] = []): Promise<string[]> {
    const known = [...(await this.pods()).nodes.keys()];
    const unknown = only.filter((name) => !known.includes(name));
    if (unknown.length > 0) throw new SluiceError(unknown.map((name) => unknownNode(name, known)));
    return only.length === 0 ? known : known.filter((name) => only.includes(name));
  }

  /** The node meant: the one named, or the only one. @throws SluiceError "unknown-node", "ambiguous-node" */
  async oneNode(name: string | undefined): Promise<string> {
    const known = await this.nodes(name === undefined ? [] : [name]);
    const [only] = known;
    if (known.length === 1 && only !== undefined) return only;
    const which = `the cluster has ${known.length} nodes; choose one with --name: ${known.join(", ")}`;
    throw SluiceError.of("ambiguous-node", "", which);
  }

  /** The way to a node's dataplane: through its container. */
  async connect(node: string): Promise<NodeConnection> {
    const pods = await this.pods();
    const pod = pods.nodes.get(node);
    if (pod === undefined) throw new SluiceError([unknownNode(node, [...pods.nodes.keys()])]);
    const command = ["sluice", "relay", "--name", node, "-o", "json"];
    const tunnel = await NodeTunnel.open(node, () =>
      ContainerProcess.start(this.api, containerOf(pod, DATAPLANE), command),
    );
    const client = new DataplaneClient(tunnel.socket, `node ${node}`);
    return {
      node,
      client,
      explained: (error) => tunnel.explained(error),
      close: async () => {
        client.close();
        await tunnel.close();
      },
    };
  }
}

function unknownNode(name: string, known: readonly string[]) {
  const there = known.length === 0 ? "there is none" : `there are: ${known.join(", ")}`;
  const message = `Sluice runs on no such node${suggestion(name, known)}; ${there}`;
  return { code: "unknown-node", path: name, message };
}
