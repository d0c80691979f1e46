import {
  Batch, BitmapTable, Counter, definePlugin, LpmTable, mix, Packet, PortRange, Prefix, Protocol, reduce, Settings
} from "@sluice/sdk";

definePlugin({ name: "traffic-mirror", version: "1.0.0", headerBytes: 96, failure: "FailOpen" });

@config
class Config {
  /** Number of the port that the copies leave by. */
  port: u16;
  /** Copies what comes from or goes to one of these networks; everything when empty. */
  networks: Prefix[] = [];
  /** Copies what comes from or goes to one of these ports; everything when empty. */
  ports: PortRange[] = [];
  @oneOf("any", "tcp", "udp", "sctp")
  protocol: string = "any";
  /** One in so many flows is copied, both directions and all of its packets. */
  @minimum(1)
  oneIn: u32 = 1;
  /** Most bytes of a copy, from the L3 header; 0: all. */
  snapLength: u16 = 0;
}

@unmanaged
class Filter {
  port: u32;
  /** 0: any. */
  protocol: u32;
  oneIn: u32;
  snapLength: u32;
  hasNetworks: bool;
  hasPorts: bool;
}

const filter = new Settings<Filter>("filter");
const networks = new LpmTable("networks");
const ports = new BitmapTable("ports");
const mirrored = new Counter("mirrored_packets", "Copies that were sent");
const failed = new Counter("failed_copies", "Copies that were not sent: no such port, or no buffer");

@configure
export function build(config: Config): void {
  const made = filter.make();
  if (made == null) return;
  made.port = config.port;
  made.protocol = protocolOf(config.protocol);
  made.oneIn = config.oneIn;
  made.snapLength = config.snapLength;
  made.hasNetworks = config.networks.length > 0;
  made.hasPorts = config.ports.length > 0;
  for (let i = 0; i < config.networks.length; i++) networks.add(config.networks[i], 1);
  for (let i = 0; i < config.ports.length; i++) ports.addRange(config.ports[i].first, config.ports[i].last);
}

function protocolOf(name: string): u32 {
  if (name == "tcp") return Protocol.Tcp;
  if (name == "udp") return Protocol.Udp;
  return name == "sctp" ? Protocol.Sctp : 0;
}

@hook("prerouting")
export function copy(batch: Batch): void {
  if (!filter.isSet) return;
  const it = filter.value;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!matches(packet, it)) continue;
    // The hash is a flow's, the same in both directions and on all workers.
    if (it.oneIn > 1 && reduce(mix(packet.hash), it.oneIn) != 0) continue;
    if (packet.mirror(it.port, it.snapLength)) mirrored.add();
    else failed.add();
  }
}

function matches(packet: Packet, it: Filter): bool {
  if (it.protocol != 0 && packet.protocol != it.protocol) return false;
  if (it.hasPorts && !(packet.hasPorts && (ports.has(packet.sourcePort) || ports.has(packet.destinationPort)))) return false;
  if (!it.hasNetworks) return true;
  if (packet.isIpv4) return networks.lookup4(packet.ipv4.source) != 0 || networks.lookup4(packet.ipv4.destination) != 0;
  return networks.lookup6(packet.ipv6.source) != 0 || networks.lookup6(packet.ipv6.destination) != 0;
}
