import type { HookName } from "@sluice/sdk/build";
import { describePacket, ipv4, loadPlugin, packet, type Stage, tcp } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { NatTranslation } from "../../src/translate/nat.js";
import { PolicyTranslation } from "../../src/translate/policies.js";
import { endpoint, namespace, packed, pod, podsOf, policy, service } from "./records.js";

// From Kubernetes' objects to the packet: the plugins with what the translations make of a service and of policies.

const NODE = { name: "node-a", addresses: ["192.0.2.1"], podCidrs: ["10.1.0.0/16"], masquerade: true, hostPorts: [] };

const built = (plugin: string) => new URL(`../../../plugins/${plugin}/build/${plugin}.wasm`, import.meta.url);

const syn = (source: string, destination: string, destinationPort: number) =>
  packet(ipv4({ source, destination }), tcp({ sourcePort: 40000, destinationPort, flags: "S" }));

/** Through nat, then the policies of the sender and of the receiver, as a node's pipeline has them. */
class Node {
  private constructor(
    private readonly nat: Stage,
    private readonly egress: Stage,
    private readonly ingress: Stage,
  ) {}

  static async of(services: NatTranslation, policies: PolicyTranslation): Promise<Node> {
    const { egress, ingress } = policies.translate(NODE);
    const config = <Config>(value: Config) => ({ config: JSON.parse(JSON.stringify(value)) });
    return new Node(
      await loadPlugin(built("nat"), config(services.translate(NODE).config)),
      await loadPlugin(built("policy"), config(egress)),
      await loadPlugin(built("policy"), config(ingress)),
    );
  }

  /** Where the packet goes, or why it does not. */
  way(bytes: Uint8Array): string {
    const flow = Buffer.from(bytes).toString("hex");
    const steps: [Stage, HookName][] = [
      [this.nat, "prerouting"],
      [this.egress, "forward"],
      [this.ingress, "forward"],
      [this.nat, "postrouting"],
    ];
    let current = bytes;
    for (const [stage, hook] of steps) {
      const { packet: sent, reason } = stage.send(current, { flow, hook });
      if (sent === undefined) return `dropped: ${reason}`;
      current = sent;
    }
    const fields = describePacket(Buffer.from(current).toString("hex"));
    return `${fields["ipv4.source"]} to ${fields["ipv4.destination"]}:${fields["tcp.destinationPort"]}`;
  }
}

describe("a service under policies", () => {
  let node: Node;
  beforeAll(async () => {
    const services = new NatTranslation();
    services.setService(
      service({
        type: "NodePort",
        clusterIPs: ["10.96.0.10"],
        ports: [{ protocol: "TCP", port: 80, nodePort: 30080 }],
      }),
    );
    services.setSlice(packed([endpoint("10.1.1.1")]));
    const pods = ["web", "client", "stranger", "prisoner"].map((name, i) => pod(name, `10.1.1.${i + 1}`));
    const policies = new PolicyTranslation(podsOf("node-a", ...pods));
    policies.setNamespace(namespace("shop"));
    const to = (app: string) => ({ podSelector: { matchLabels: { app } } });
    policies.setPolicy(
      policy({
        ingress: [
          {
            from: [to("client"), to("prisoner"), { ipBlock: { cidr: "203.0.113.0/24" } }],
            ports: [{ protocol: "TCP", port: 8080 }],
          },
        ],
      }),
    );
    policies.setPolicy(policy({ name: "jail", ...to("prisoner"), policyTypes: ["Egress"] }));
    node = await Node.of(services, policies);
  }, 60_000);

  test.each([
    {
      what: "a client that the policy names",
      from: "10.1.1.2",
      to: "10.96.0.10",
      port: 80,
      way: "10.1.1.2 to 10.1.1.1:8080",
    },
    { what: "one that it does not name", from: "10.1.1.3", to: "10.96.0.10", port: 80, way: "dropped: policy" },
    { what: "one that may come and not go", from: "10.1.1.4", to: "10.96.0.10", port: 80, way: "dropped: policy" },
    { what: "another port of the pod", from: "10.1.1.2", to: "10.1.1.1", port: 22, way: "dropped: policy" },
    { what: "the node itself", from: "192.0.2.1", to: "10.1.1.1", port: 22, way: "192.0.2.1 to 10.1.1.1:22" },
    {
      what: "a node port, from outside, by who may: seen as the node",
      from: "203.0.113.9",
      to: "192.0.2.1",
      port: 30080,
      way: "192.0.2.1 to 10.1.1.1:8080",
    },
    {
      what: "a node port, from outside, by who may not: judged by the true source",
      from: "198.51.100.9",
      to: "192.0.2.1",
      port: 30080,
      way: "dropped: policy",
    },
    {
      what: "another port of the service's address",
      from: "10.1.1.2",
      to: "10.96.0.10",
      port: 81,
      way: "dropped: service-port-closed",
    },
    {
      what: "a pod to the outside: seen as the node",
      from: "10.1.1.2",
      to: "198.51.100.9",
      port: 443,
      way: "192.0.2.1 to 198.51.100.9:443",
    },
    { what: "a pod to the node", from: "10.1.1.2", to: "192.0.2.1", port: 10250, way: "10.1.1.2 to 192.0.2.1:10250" },
  ])("$what", ({ from, to, port, way }) => {
    expect(node.way(syn(from, to, port))).toBe(way);
  });
});
