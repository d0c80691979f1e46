import { Batch, Counter, definePlugin, dropReason, LpmTable, Packet, Prefix, Settings, TraceValue } from "@sluice/sdk";

// 100,000 prefixes take up to 9 MB; while a new list is built there are two.
definePlugin({ name: "geo-deny", version: "1.0.0", headerBytes: 64, segmentBytes: 16777216 });

@config
class Config {
  /** Networks that are denied. */
  deny: Prefix[] = [];
  /** Networks that are not, within those; of two prefixes that hold an address the longer one counts. */
  allow: Prefix[] = [];
  /** Denies packets to these networks too, not only from them. */
  both: bool = false;
}

@unmanaged
class Options {
  both: bool;
}

const ALLOWED: u32 = 1;
const DENIED: u32 = 2;

const options = new Settings<Options>("options");
const networks = new LpmTable("networks");
const denied = new Counter("denied_packets", "Packets from or to a denied network");
const geoDenied = dropReason("geo-denied", "From or to a denied network");
const side = new TraceValue("side", "Which address was denied: 1 the source, 2 the destination");

@configure
export function build(config: Config): void {
  const made = options.make();
  if (made != null) made.both = config.both;
  networks.reserve4(count(config.deny, 4) + count(config.allow, 4));
  networks.reserve6(count(config.deny, 6) + count(config.allow, 6));
  for (let i = 0; i < config.deny.length; i++) networks.add(config.deny[i], DENIED);
  // The last value stays: a prefix in both lists is allowed.
  for (let i = 0; i < config.allow.length; i++) networks.add(config.allow[i], ALLOWED);
}

function count(prefixes: Prefix[], family: u32): u32 {
  let found: u32 = 0;
  for (let i = 0; i < prefixes.length; i++) found += <u32>(prefixes[i].family == family);
  return found;
}

@hook("prerouting")
export function deny(batch: Batch): void {
  if (!options.isSet) return;
  const both = options.value.both;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const found = sourceValue(packet) == DENIED ? 1 : both && destinationValue(packet) == DENIED ? 2 : 0;
    if (found == 0) continue;
    side.note(packet, found);
    denied.add();
    packet.drop(geoDenied);
  }
}

function sourceValue(packet: Packet): u32 {
  return packet.isIpv4 ? networks.lookup4(packet.ipv4.source) : networks.lookup6(packet.ipv6.source);
}

function destinationValue(packet: Packet): u32 {
  return packet.isIpv4 ? networks.lookup4(packet.ipv4.destination) : networks.lookup6(packet.ipv6.destination);
}
