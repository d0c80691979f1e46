import { familyOf } from "../config/addresses.js";
import type { L4Protocol, NatService } from "./plugin-configs.js";
import type { ServiceNode } from "./services.js";

/** A port of the node that leads to a port of one of its pods. */
export interface HostPort {
  /** Of the pod, for people: namespace/name. */
  readonly pod: string;
  /** Empty: every address of the node. */
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: L4Protocol;
  readonly podAddresses: readonly string[];
}

/** For plugins/nat: the client's address stays, as the pod is on this node. */
export function translateHostPorts(hostPorts: readonly HostPort[], node: ServiceNode): NatService[] {
  return hostPorts.flatMap((mapping) =>
    node.addresses
      .filter((address) => isAny(mapping.hostIp) || address === mapping.hostIp)
      .flatMap((address) => serviceAt(mapping, address)),
  );
}

const isAny = (hostIp: string): boolean => hostIp === "" || hostIp === "0.0.0.0" || hostIp === "::";

function serviceAt({ pod, hostPort, containerPort, protocol, podAddresses }: HostPort, vip: string): NatService[] {
  const family = familyOf(vip);
  const backends = podAddresses
    .filter((address) => familyOf(address) === family)
    .map((address) => ({ address, port: containerPort }));
  if (backends.length === 0) return [];
  return [{ name: `${pod}:${hostPort}`, vip, port: hostPort, protocol, shared: true, backends }];
}
