// TCP between pods by iperf3, in turns with the kernel doing the same between namespaces of the same kind.
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { ownName, removeLeftovers } from "../support/leftovers.js";
import { connect, Namespace } from "../support/namespace.js";
import { oneNode, type Pod, twoNodes } from "../support/topology.js";
import { iperf } from "../support/traffic.js";
import { compare } from "./compare.js";
import type { Figure } from "./result.js";

const SECONDS = 2;
/** Of bytes, as the pods' TAPs have. */
const MTU = 1500;
const VXLAN_OVERHEAD = 50;

interface Pair {
  readonly from: Namespace;
  readonly to: Namespace;
  /** Of `to`. */
  readonly address: string;
}

interface Contest {
  readonly name: string;
  readonly reference: string;
  readonly sluice: (cleanup: Cleanup) => Promise<Pair>;
  readonly kernel: (cleanup: Cleanup) => Promise<Pair>;
}

const contests: readonly Contest[] = [
  { name: "tap-tcp", reference: "veth and bridge", sluice: podsOfOneNode, kernel: bridgedNamespaces },
  { name: "vxlan-tcp", reference: "kernel VXLAN", sluice: podsOfTwoNodes, kernel: tunnelledNamespaces },
];

export const tcpBenchmarks: readonly string[] = contests.map(({ name }) => name);

/** One figure. All that it makes on the machine is gone afterwards, also when it is interrupted. */
export async function* runTcp(name: string, rounds: number): AsyncGenerator<Figure> {
  const contest = contests.find((candidate) => candidate.name === name);
  if (contest === undefined) throw new Error(`there is no benchmark ${name}`);
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, removeLeftovers);
  try {
    const [ours, theirs] = [await contest.sluice(cleanup), await contest.kernel(cleanup)];
    yield await compare(
      {
        name,
        unit: "Gbit/s",
        reference: contest.reference,
        value: () => gigabits(cleanup, ours),
        referenceValue: () => gigabits(cleanup, theirs),
      },
      rounds,
    );
  } finally {
    await cleanup.close();
    unwatch();
  }
}

async function gigabits(cleanup: Cleanup, { from, to, address }: Pair): Promise<number> {
  return (await iperf(cleanup, from, to, address, { seconds: SECONDS })).gigabitsPerSecond;
}

const between = (from: Pod, to: Pod): Pair => ({ from: from.namespace, to: to.namespace, address: to.v4 });

async function podsOfOneNode(cleanup: Cleanup): Promise<Pair> {
  const { pods } = await oneNode(cleanup, 2, (file) => {
    for (const port of file.ports) port.mtu = MTU;
  });
  const [from, to] = pods as [Pod, Pod];
  return between(from, to);
}

async function podsOfTwoNodes(cleanup: Cleanup): Promise<Pair> {
  const nodes = await twoNodes(cleanup, (file) => {
    for (const port of file.ports) if (port.kind !== "af-packet") port.mtu = MTU - VXLAN_OVERHEAD;
  });
  const [from, to] = nodes.map(({ pods }) => pods[0] as Pod) as [Pod, Pod];
  return between(from, to);
}

/** Two namespaces, each by a veth pair on a bridge in a third. */
async function bridgedNamespaces(cleanup: Cleanup): Promise<Pair> {
  const bridge = await Namespace.create(cleanup, ownName("bridge"));
  await bridge.ip("link", "add", "br0", "type", "bridge");
  await bridge.ip("link", "set", "br0", "up");
  const from = await onBridge(cleanup, bridge, 1);
  const to = await onBridge(cleanup, bridge, 2);
  return { from, to, address: "10.9.0.2" };
}

async function onBridge(cleanup: Cleanup, bridge: Namespace, number: number): Promise<Namespace> {
  const pod = await Namespace.create(cleanup, ownName(`bridged${number}`));
  const port = `port${number}`;
  await pod.ip("link", "add", "eth0", "mtu", String(MTU), "type", "veth", "peer", "name", port, "netns", bridge.name);
  await bridge.ip("link", "set", port, "master", "br0", "up");
  await pod.ip("address", "add", `10.9.0.${number}/24`, "dev", "eth0");
  await pod.ip("link", "set", "eth0", "up");
  return pod;
}

/** Two namespaces with a kernel VXLAN each, over a wire of the same kind as that between Sluice's nodes. */
async function tunnelledNamespaces(cleanup: Cleanup): Promise<Pair> {
  const [from, to] = [
    await Namespace.create(cleanup, ownName("tunnel1")),
    await Namespace.create(cleanup, ownName("tunnel2")),
  ];
  await connect(from, "wire", to, "wire", MTU);
  for (const [number, namespace] of [from, to].entries()) {
    const [own, other] = [`172.30.0.${number + 1}`, `172.30.0.${2 - number}`];
    await namespace.ip("address", "add", `${own}/24`, "dev", "wire");
    const tunnel = ["id", "42", "local", own, "remote", other, "dstport", "4789", "dev", "wire"];
    await namespace.ip("link", "add", "overlay", "mtu", String(MTU - VXLAN_OVERHEAD), "type", "vxlan", ...tunnel);
    await namespace.ip("address", "add", `10.8.0.${number + 1}/24`, "dev", "overlay");
    await namespace.ip("link", "set", "overlay", "up");
  }
  return { from, to, address: "10.8.0.2" };
}
