import { IpAddress, Ipv6Address, Json, Prefix } from "@sluice/sdk";

/** What a SID does (RFC 8986, section 4). */
export enum Behaviour {
  End = 1,
  EndX,
  EndDt4,
  EndDt6,
  EndDx4,
  EndDx6
}

/** In SidConfig: not configured. */
// @ts-ignore: decorator
@inline export const NONE: u32 = 0xffffffff;

@config
export class SidConfig {
  /** An IPv6 address, or a prefix of several SIDs */
  sid: Prefix;
  @oneOf("End", "End.X", "End.DT4", "End.DT6", "End.DX4", "End.DX6") behaviour: Behaviour;
  /** End.DT4, End.DT6: routing table of the inner packet; default 0 */
  @maximum(65535) table: u32 = 0xffffffff;
  /** End.DX4, End.DX6, End.X: number of the port to leave by */
  @maximum(1023) port: u32 = 0xffffffff;
  /** End.DX4, End.DX6, End.X: the neighbour; the inner destination when absent */
  nextHop: IpAddress | null = null;
}

@config
export class PolicyConfig {
  /** Prefix of destinations, IPv4 or IPv6 */
  match: Prefix;
  /** Prefix of sources; any when absent */
  matchSource: Prefix | null = null;
  /** SIDs in the order of the path */
  @minItems(1) @maxItems(6) segments: Ipv6Address[];
  /** Of the outer header; that of all policies when absent */
  source: Ipv6Address | null = null;
  /** Of the outer header: 1 to 255, or inner; default 64 */
  @schema({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 255 }, { "enum": ["inner"] }] })
  hopLimit: Json | null = null;
  /** Of the outer header: from the flow's hash, or the inner packet's */
  @oneOf("hash", "inner") flowLabel: string = "hash";
  /** true: H.Encaps.Red, the first segment is only in the destination */
  reduced: bool = false;
}

@config
export class SrConfig {
  /** Source of outer headers where a policy has none */
  source: Ipv6Address | null = null;
  /** Hook where policies apply */
  @oneOf("prerouting", "postrouting") encapsAt: string = "postrouting";
  localSids: SidConfig[] = [];
  policies: PolicyConfig[] = [];
}
