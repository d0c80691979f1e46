import { Batch, Counter, HashTable, Json } from "@sluice/sdk";

const NONE: u32 = 64;
const classes = new HashTable<u32, u32>("classes");
const marked = new Counter("marked_packets", "Packets that got another DSCP");

// @ts-ignore: decorator
@configure
export function build(config: Json): void {
  for (let each = config.need("classes").first; each.isPresent; each = each.next) {
    classes.set(each.need("port").unsigned(65535), each.need("dscp").unsigned(63));
  }
}

// @ts-ignore: decorator
@hook("forward")
export function rewrite(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.hasPorts) continue;
    const dscp = classes.get(packet.destinationPort, NONE);
    if (dscp != NONE && dscp != packet.dscp && packet.setDscp(dscp)) marked.add();
  }
}
