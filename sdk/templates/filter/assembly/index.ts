import { Batch, Counter, DropReason, Json, LpmTable, Prefix } from "@sluice/sdk";

const denied = new LpmTable("denied");
const hits = new Counter("denied_packets", "Packets from denied sources");
const prefix = new Prefix();

// @ts-ignore: decorator
@configure
export function build(config: Json): void {
  for (let each = config.need("deny").first; each.isPresent; each = each.next) {
    if (!each.prefix(prefix)) return;
    if (prefix.family == 4) denied.add4(prefix.address4, prefix.length, 1);
    else denied.add6(prefix.address6, prefix.length, 1);
  }
}

// @ts-ignore: decorator
@hook("forward")
export function filter(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const found = packet.isIpv4 ? denied.lookup4(packet.ipv4.source) : denied.lookup6(packet.ipv6.source);
    if (found == 0) continue;
    hits.add();
    packet.drop(DropReason.Policy);
  }
}
