import { Batch, Counter, HashTable } from "@sluice/sdk";

@config
class TrafficClass {
  /** Destination port, of TCP, UDP or SCTP. */
  port: u16;
  /** What its packets get. */
  @maximum(63)
  dscp: u8;
}

@config
class Config {
  classes: TrafficClass[] = [];
}

const NONE: u32 = 64;
const classes = new HashTable<u32, u32>("classes");
const marked = new Counter("marked_packets", "Packets that got another DSCP");

// @ts-ignore: decorator
@configure
export function build(config: Config): void {
  for (let i = 0; i < config.classes.length; i++) classes.set(config.classes[i].port, config.classes[i].dscp);
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
