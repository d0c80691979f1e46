// One lookup for each packet, chosen by its mark; the mark then holds what was found. The key is the source address, or
// the ports as one number.
import {
  Batch, BitmapTable, Ipv6Address, Json, LpmTable, MaglevTable, Packet, Prefix, RangeTable, definePlugin, hashText,
  mixSymmetric
} from "@sluice/sdk";

definePlugin({ name: "ranges", version: "1.0.0", segmentBytes: 16777216 });

const MISSING: u32 = 0xffffffff;
const ranges = new RangeTable("ranges");
const open = new BitmapTable("open");
const members = new MaglevTable("members");
const prefixes = new LpmTable("prefixes");
const first = new Ipv6Address();
const last = new Ipv6Address();
const prefix = new Prefix();

/** A number, or "a-b". */
function addOpen(value: Json): void {
  if (value.isNumber) open.add(value.unsigned());
  else open.addRange(value.need("first").unsigned(), value.need("last").unsigned());
}

@configure
function build(config: Json): void {
  for (let each = config.get("ranges").first; each.isPresent; each = each.next) {
    const value = each.need("value").unsigned();
    if (each.need("first").isNumber) ranges.add(each.need("first").unsigned(), each.need("last").unsigned(), value);
    else if (each.need("first").address6(first) && each.need("last").address6(last)) ranges.add6(first, last, value);
  }
  if (config.get("reserve").isPresent) {
    open.reserve(config.get("reserve").unsigned());
    prefixes.reserve4(config.get("reserve").unsigned());
    prefixes.reserve6(config.get("reserve").unsigned());
  }
  for (let each = config.get("open").first; each.isPresent; each = each.next) addOpen(each);
  for (let each = config.get("members").first; each.isPresent; each = each.next) {
    members.add(hashText(each.need("name").text()), each.need("value").unsigned(), each.need("weight").unsigned());
  }
  for (let each = config.get("prefixes").first; each.isPresent; each = each.next) {
    if (!each.need("prefix").prefix(prefix)) return;
    prefixes.add(prefix, each.need("value").unsigned());
  }
  const asked = config.get("asked");
  if (asked.isPresent) asked.fail("is " + prefixes.lookup4(asked.address4(), MISSING).toString());
}

function look(packet: Packet, what: u32): u32 {
  const ports = packet.sourcePort << 16 | packet.destinationPort;
  switch (what) {
    case 1: return packet.isIpv4 ? ranges.lookup(ports, MISSING) : ranges.lookup6(packet.ipv6.source, MISSING);
    case 2: return <u32>open.has(ports);
    case 3: return members.pick(mixSymmetric(packet.sourcePort, packet.destinationPort), MISSING);
    case 4: {
      return packet.isIpv4
        ? prefixes.lookup4(packet.ipv4.source, MISSING)
        : prefixes.lookup6(packet.ipv6.source, MISSING);
    }
    default: return MISSING;
  }
}

@hook("forward")
function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    packet.mark = look(packet, packet.mark);
  }
}
