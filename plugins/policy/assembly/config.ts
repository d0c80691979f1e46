import { Json, PortRange, Prefix } from "@sluice/sdk";

export enum Action {
  Allow = 1,
  Deny
}

@config
export class RuleConfig {
  name: string | null = null;
  action: Action;
  /** Lower comes first; then the order in the file */
  @minimum(-1000000) @maximum(1000000) priority: i32 = 0;
  /** Through the node, to it, or from it; all when absent */
  @oneOf("forward", "input", "output") direction: string | null = null;
  /** Addresses or prefixes such as 10.0.0.0/8 or fd00::/64; all when absent */
  @minItems(1) source: Prefix[] | null = null;
  /** Addresses or prefixes such as 10.0.0.0/8 or fd00::/64; all when absent */
  @minItems(1) destination: Prefix[] | null = null;
  /** any, tcp, udp, sctp, icmp, icmpv6 or a number from 0 to 255 */
  @schema({
    "anyOf": [
      { "enum": ["any", "tcp", "udp", "sctp", "icmp", "icmpv6"] },
      { "type": "integer", "minimum": 0, "maximum": 255 }
    ]
  })
  protocol: Json | null = null;
  /** Ports or ranges such as 443 or "8000-8099" */
  @minItems(1) sourcePorts: PortRange[] | null = null;
  /** Ports or ranges such as 443 or "8000-8099" */
  @minItems(1) destinationPorts: PortRange[] | null = null;
  /** 0 to 7: the counter rule_<n> that counts its decisions */
  @maximum(7) counter: u32 = 0xffffffff;
  /** Puts the rule's place in the file, from 1, into a packet's trace */
  log: bool = false;
}

@config
export class PolicyConfig {
  /** What happens where no rule matches */
  defaultAction: Action;
  /** Packets that fit no connection */
  @oneOf("drop", "allow") invalid: string = "drop";
  @maxItems(4096) rules: RuleConfig[] = [];
}
