import { mkdirSync, rmSync } from "node:fs";
import type { Cleanup } from "../support/cleanup.js";
import { joinNodes, type Node, type Pod, prepareNode } from "../support/topology.js";

/** Starts the name of each of the demo's namespaces. */
export const DEMO_PREFIX = "sluice-demo";
export const DEMO_FOLDER = `/tmp/${DEMO_PREFIX}`;

/** Two nodes of two pods each, joined by VXLAN over a link of 1500 bytes. */
export class DemoWorld {
  #nodes: [Node, Node] | undefined;

  constructor(readonly cleanup: Cleanup) {}

  async prepare(): Promise<void> {
    mkdirSync(DEMO_FOLDER, { recursive: true });
    this.cleanup.defer(DEMO_FOLDER, () => rmSync(DEMO_FOLDER, { recursive: true, force: true }));
    const plan = { folder: DEMO_FOLDER, pods: 2, nameOf: (name: string) => `${DEMO_PREFIX}-${name}` };
    const one = await prepareNode(this.cleanup, { ...plan, number: 1, peers: [2] });
    const two = await prepareNode(this.cleanup, { ...plan, number: 2, peers: [1] });
    await joinNodes(one.namespace, two.namespace);
    this.#nodes = [one, two];
  }

  get isUp(): boolean {
    return this.#nodes !== undefined;
  }

  get nodes(): [Node, Node] {
    if (this.#nodes === undefined) throw new Error("the demo's nodes are not prepared");
    return this.#nodes;
  }

  /** Pod `pod` of node `node`, both from 1. */
  pod(node: 1 | 2, pod: 1 | 2): Pod {
    return this.nodes[node - 1]?.pods[pod - 1] as Pod;
  }
}
