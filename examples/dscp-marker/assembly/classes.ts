import { Packet, PortRange, Protocol, RangeTable, Settings } from "@sluice/sdk";

@config
class Rule {
  ports: PortRange;
  @oneOf("any", "tcp", "udp", "sctp")
  protocol: string = "any";
  /** 0 to 63, such as 46 (EF) or 10 (AF11). */
  @maximum(63)
  dscp: u8;
}

@config
class Config {
  /** What packets from or to a port are marked with. Of several rules for a port the last one holds. */
  @maxItems(4096)
  rules: Rule[] = [];
  /** What all others are marked with; 64: they keep theirs. */
  @maximum(64)
  other: u8 = 64;
}

@unmanaged
class Options {
  other: u32;
}

/** No DSCP: a packet keeps its own. */
export const KEEP: u32 = 64;

const options = new Settings<Options>("options");
/** By protocol << 16 | port. */
const classes = new RangeTable("classes");

@configure
export function build(config: Config): void {
  const made = options.make();
  if (made != null) made.other = config.other;
  for (let i = 0; i < config.rules.length; i++) {
    const rule = config.rules[i];
    const isAny = rule.protocol == "any";
    if (isAny || rule.protocol == "tcp") add(Protocol.Tcp, rule);
    if (isAny || rule.protocol == "udp") add(Protocol.Udp, rule);
    if (isAny || rule.protocol == "sctp") add(Protocol.Sctp, rule);
  }
}

function add(protocol: u32, rule: Rule): void {
  classes.add(protocol << 16 | rule.ports.first, protocol << 16 | rule.ports.last, rule.dscp);
}

/** What to mark a packet with, or KEEP: by its destination port, then its source port. Without a configuration `unset`. */
export function dscpOf(packet: Packet, unset: u32): u32 {
  if (!options.isSet) return unset;
  if (!packet.hasPorts) return options.value.other;
  const protocol = packet.protocol << 16;
  const found = classes.lookup(protocol | packet.destinationPort, KEEP);
  return found != KEEP ? found : classes.lookup(protocol | packet.sourcePort, options.value.other);
}
