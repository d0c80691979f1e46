import type { Cleanup } from "../support/cleanup.js";
import { connect, Namespace } from "../support/namespace.js";
import { GATEWAY, OUTSIDE, WIRE_PREFIX } from "./address-plan.js";

export const UPLINK = "eth0";
const BRIDGE = "wire";

export interface Addresses {
  v4: string;
  v6: string;
}

/** The network between the machines of a cluster: one link, and a gateway to the outside. */
export class Wire {
  private constructor(
    readonly namespace: Namespace,
    readonly outside: Namespace,
  ) {}

  static async create(cleanup: Cleanup, nameOf: (name: string) => string): Promise<Wire> {
    const namespace = await Namespace.create(cleanup, nameOf("wire"));
    await namespace.ip("link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0");
    await namespace.ip("link", "set", BRIDGE, "up");
    const wire = new Wire(namespace, await Namespace.create(cleanup, nameOf("outside")));
    await wire.plug(wire.outside, "outside", GATEWAY);
    for (const address of Object.values(OUTSIDE)) await wire.outside.ip("address", "add", address, "dev", "lo");
    await wire.outside.sysctl({ "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1 });
    return wire;
  }

  /** Gives a machine its uplink, with its addresses; `port`: the name of the other end. */
  async plug(machine: Namespace, port: string, addresses: Addresses): Promise<void> {
    await connect(machine, UPLINK, this.namespace, port);
    await this.namespace.ip("link", "set", port, "master", BRIDGE);
    await machine.ip("address", "add", `${addresses.v4}/${WIRE_PREFIX.v4}`, "dev", UPLINK);
    await machine.ip("address", "add", `${addresses.v6}/${WIRE_PREFIX.v6}`, "dev", UPLINK);
  }

  /** Its way to everything else. */
  async routeOutside(machine: Namespace): Promise<void> {
    for (const gateway of Object.values(GATEWAY)) await machine.ip("route", "add", "default", "via", gateway);
  }
}
