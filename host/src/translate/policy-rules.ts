import type { NetworkPolicyRecord, PolicyPeer, PolicyPort } from "../cluster/records.js";
import type { L4Protocol, PolicyRule } from "./plugin-configs.js";
import type { PodIndex, PodRows } from "./pod-index.js";
import { subtractPrefixes } from "./subtract.js";

export type Direction = "ingress" | "egress";

/** Addresses of the far side, and the pods among them, whose ports have names. */
interface Peers {
  readonly prefixes: readonly string[];
  readonly pods: PodRows;
}

interface PortMatch {
  readonly protocol?: L4Protocol;
  readonly destinationPorts?: readonly (number | string)[];
}

/** What the policy allows to (ingress) or from (egress) the given pods, all of which it selects. */
export function peerRules(
  direction: Direction,
  policy: NetworkPolicyRecord,
  selected: PodRows,
  index: PodIndex,
): PolicyRule[] {
  const lists =
    direction === "ingress"
      ? policy.ingress.map(({ from, ports }) => ({ peers: from, ports }))
      : policy.egress.map(({ to, ports }) => ({ peers: to, ports }));
  return lists.flatMap(({ peers, ports = [] }, number) => {
    const far = peers === undefined || peers.length === 0 ? undefined : resolve(peers, policy.namespace, index);
    if (far !== undefined && far.prefixes.length === 0) return [];
    const name = `${policy.namespace}/${policy.name} ${direction} ${number + 1}`;
    const rule = (near: PodRows, farSide: readonly string[] | undefined, match: PortMatch): PolicyRule => {
      const own = index.addressesOf(near);
      const [source, destination] = direction === "ingress" ? [farSide, own] : [own, farSide];
      return { name, action: "allow", ...present("source", source), ...present("destination", destination), ...match };
    };
    const named = ports.filter(({ port }) => typeof port === "string");
    const rules = numbered(ports).map((match) => rule(selected, far?.prefixes, match));
    if (direction === "ingress") {
      return [...rules, ...byNumber(index, selected, named).map(({ pods, match }) => rule(pods, far?.prefixes, match))];
    }
    const farPods = byNumber(index, far?.pods ?? [], named);
    return [...rules, ...farPods.map(({ pods, match }) => rule(selected, index.addressesOf(pods), match))];
  });
}

function present<Key extends "source" | "destination">(key: Key, prefixes: readonly string[] | undefined) {
  return prefixes === undefined ? {} : ({ [key]: prefixes } as Record<Key, readonly string[]>);
}

function resolve(peers: readonly PolicyPeer[], namespace: string, index: PodIndex): Peers {
  const pods = peers.flatMap(({ podSelector, namespaceSelector }) => {
    if (podSelector === undefined && namespaceSelector === undefined) return [];
    return namespaceSelector === undefined
      ? index.inNamespace(namespace, podSelector ?? {})
      : index.inNamespaces(namespaceSelector, podSelector ?? {});
  });
  const blocks = peers.flatMap(({ ipBlock }) =>
    ipBlock === undefined ? [] : subtractPrefixes(ipBlock.cidr, ipBlock.except ?? []),
  );
  const prefixes = new Set([...blocks, ...index.addressesOf(pods)]);
  return { prefixes: [...prefixes], pods: [...new Set(pods)] };
}

/** Of the ports that are numbers, one match a protocol; no ports at all match everything. */
function numbered(ports: readonly PolicyPort[]): PortMatch[] {
  if (ports.length === 0) return [{}];
  const all = new Set<L4Protocol>();
  const ranges = new Map<L4Protocol, (number | string)[]>();
  for (const { protocol, port, endPort } of ports) {
    const of = protocol.toLowerCase() as L4Protocol;
    if (port === undefined) all.add(of);
    else if (typeof port === "number") {
      const range = endPort === undefined || endPort === port ? port : `${port}-${endPort}`;
      ranges.set(of, [...(ranges.get(of) ?? []), range]);
    }
  }
  const some = [...ranges].filter(([protocol]) => !all.has(protocol));
  return [
    ...[...all].map((protocol) => ({ protocol })),
    ...some.map(([protocol, destinationPorts]) => ({ protocol, destinationPorts })),
  ];
}

/** Named ports have each pod's own number: pods with the same one go together. */
function byNumber(
  index: PodIndex,
  pods: PodRows,
  named: readonly PolicyPort[],
): { pods: number[]; match: PortMatch }[] {
  return named.flatMap(({ protocol, port: name }) => {
    const groups = new Map<number, number[]>();
    for (const pod of pods) {
      const found = index.portsOf(pod).find((candidate) => candidate.name === name && candidate.protocol === protocol);
      if (found !== undefined) groups.set(found.port, [...(groups.get(found.port) ?? []), pod]);
    }
    return [...groups].map(([port, same]) => ({
      pods: same,
      match: { protocol: protocol.toLowerCase() as L4Protocol, destinationPorts: [port] },
    }));
  });
}
