// One lookup for each packet, chosen by its mark; the mark then holds what was found.
import { ArrayTable, Batch, HashTable, Json, LpmTable, Packet, Prefix, Settings, definePlugin } from "@sluice/sdk";

definePlugin({ name: "tables", version: "1.0.0", segmentBytes: 131072 });

@unmanaged
class Pair { first: u64; second: u16; }
@unmanaged
class Found { value: u32; twice: u64; }
@unmanaged
class Limits { most: u32; }

const MISSING: u32 = 0xffffffff;
const prefixes = new LpmTable("prefixes");
const ports = new HashTable<u32, u32>("ports");
const pairs = new HashTable<Pair, Found>("pairs");
const list = new ArrayTable<u32>("list");
const records = new ArrayTable<Found>("records");
const limits = new Settings<Limits>("limits");
const prefix = new Prefix();
const pair = new Pair();

@configure
function build(config: Json): void {
  for (let each = config.get("prefixes").first; each.isPresent; each = each.next) {
    if (!each.need("prefix").prefix(prefix)) return;
    const value = each.need("value").unsigned();
    prefixes.add(prefix, value);
  }
  if (config.get("reserve").isPresent) ports.reserve(config.get("reserve").unsigned());
  for (let each = config.get("ports").first; each.isPresent; each = each.next) {
    ports.set(each.need("port").unsigned(65535), each.need("value").unsigned());
  }
  for (let each = config.get("pairs").first; each.isPresent; each = each.next) {
    pair.first = each.need("first").unsigned();
    pair.second = <u16>each.need("second").unsigned(65535);
    const found = pairs.add(pair);
    if (!found) return;
    found.value = each.need("value").unsigned();
    found.twice = <u64>found.value * 2;
  }
  for (let each = config.get("list").first; each.isPresent; each = each.next) {
    list.push(each.unsigned());
    const record = records.add();
    if (record) record.value = each.unsigned();
  }
  const most = config.get("most");
  if (most.isPresent) {
    const made = limits.make();
    if (made) made.most = most.unsigned();
  }
}

function look(packet: Packet, what: u32): u32 {
  if (what == 1) {
    return packet.isIpv4
      ? prefixes.lookup4(packet.ipv4.destination, MISSING)
      : prefixes.lookup6(packet.ipv6.destination, MISSING);
  }
  if (what == 2) return ports.get(packet.destinationPort, MISSING);
  if (what == 3) {
    pair.first = packet.sourcePort;
    pair.second = <u16>packet.destinationPort;
    const found = pairs.find(pair);
    if (!found) return MISSING;
    return found.twice == <u64>found.value * 2 ? found.value : 0;
  }
  if (what == 4) return list.get(packet.destinationPort) + records.at(packet.destinationPort).value;
  if (what == 5) {
    const found = limits.value;
    return found ? found.most : MISSING;
  }
  if (what == 6) return ports.size << 16 | list.length;
  return <u32>ports.has(packet.destinationPort);
}

@hook("forward")
function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    packet.mark = look(packet, packet.mark);
  }
}
