// A lookup for each packet, of addresses all over the table: at prerouting of IPv4, at forward of IPv6, at postrouting
// none.
import { Batch, Counter, Ipv6Address, Json, LpmTable, Prefix, definePlugin, mix } from "@sluice/sdk";

definePlugin({ name: "bench-lpm", version: "1.0.0", segmentBytes: 33554432 });

const found = new Counter("found", "Sum of the values");
const prefixes = new LpmTable("prefixes");
const prefix = new Prefix();
const address = new Ipv6Address();
let asked: u64 = 0;

@configure
function build(config: Json): void {
  for (let each = config.need("prefixes").first; each.isPresent; each = each.next) {
    if (!each.prefix(prefix)) return;
    prefixes.add(prefix, 1);
  }
}

@hook("prerouting")
function lookup4(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) found.add(prefixes.lookup4(<u32>mix(++asked)));
}

@hook("forward")
function lookup6(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const hash = mix(++asked);
    address.high = 0x2a00000000000000 | hash >>> 12;
    address.low = hash;
    found.add(prefixes.lookup6(address));
  }
}

@hook("postrouting")
function nothing(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) found.add(mix(++asked));
}
