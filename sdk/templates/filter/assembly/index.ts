import { Batch, Counter, DropReason, LpmTable, Prefix } from "@sluice/sdk";

@config
class Config {
  /** Networks whose packets are dropped. */
  deny: Prefix[] = [];
}

const denied = new LpmTable("denied");
const hits = new Counter("denied_packets", "Packets from denied networks");

// @ts-ignore: decorator
@configure
export function build(config: Config): void {
  for (let i = 0; i < config.deny.length; i++) denied.add(config.deny[i], 1);
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
