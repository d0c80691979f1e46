// ADDs of pods as a runtime makes them: all ready to go, then let go at once, then deleted.
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterNode } from "../support/cluster-node.js";
import { CNI_BINARY } from "../support/cni-server.js";
import type { Namespace } from "../support/namespace.js";
import { must } from "../support/process.js";
import { Gated } from "./gated.js";

/** In which the kernel takes interfaces away, some 10 ms for each. */
const PAUSE_MS = 500;

type Add = () => Promise<unknown>;

/** A pod whose namespace is there. */
interface Pod {
  readonly name: string;
  readonly namespace: Namespace;
  readonly containerId: string;
}

export class PodAdds {
  private containers = 0;
  private namespacesUsed = 0;

  /**
   * @param namespaces of pods, by turns: more than are added at once, so that a new pod never has that of one on its way out
   * @param isKnown whether the API has pods `pod-0`, `pod-1` and so on in namespace `default`; else it is asked for none
   */
  constructor(
    private readonly node: ClusterNode,
    private readonly socket: string,
    private readonly namespaces: readonly Namespace[],
    private readonly isKnown: boolean,
  ) {}

  /**
   * Adds so many pods at once, and deletes them. @param prepare makes all ready, and gives what adds the pod
   * @returns milliseconds that each took to be added, from when all were let go
   */
  async turn(count: number, prepare: (pod: Pod) => Promise<Add>): Promise<number[]> {
    const pods = Array.from({ length: count }, (_, i) => ({
      name: `pod-${i}`,
      namespace: this.namespaces[this.namespacesUsed++ % this.namespaces.length] as Namespace,
      containerId: `container${++this.containers}`,
    }));
    const adds = await Promise.all(pods.map(prepare));
    const started = performance.now();
    const took = await Promise.all(
      adds.map(async (add) => {
        await add();
        return performance.now() - started;
      }),
    );
    await Promise.all(pods.map((pod) => must([CNI_BINARY], this.command("DEL", pod))));
    if (count > 1) await sleep(PAUSE_MS);
    return took;
  }

  /** The agent's part alone, as the binary calls it. */
  readonly called = async ({ name, namespace, containerId }: Pod): Promise<Add> => {
    const attachment = { containerId, ifname: "eth0" };
    const pod = this.isKnown ? { namespace: "default", name, uid: `uid-${name}` } : null;
    return () => this.node.cni("add", { attachment, netns: namespace.path, pod, portMappings: [] });
  };

  /** The binary, from its execve(2) on; a runtime's own cost of a process is not in it. */
  readonly executed = async (pod: Pod): Promise<Add> => {
    const program = await Gated.start([CNI_BINARY], this.command("ADD", pod));
    return () => program.go();
  };

  /** As libcni runs it. */
  private command(command: "ADD" | "DEL", { name, namespace, containerId }: Pod) {
    const pod = `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`;
    return {
      input: JSON.stringify({ cniVersion: "1.1.0", name: "sluice", type: "sluice-cni", socket: this.socket }),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: containerId,
        CNI_IFNAME: "eth0",
        CNI_NETNS: namespace.path,
        CNI_PATH: "/opt/cni/bin",
        CNI_ARGS: this.isKnown ? pod : "",
      },
    };
  }
}
