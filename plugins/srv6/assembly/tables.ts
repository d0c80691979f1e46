import { ArrayTable, Ipv6Address, LpmTable, Settings } from "@sluice/sdk";
import { Behaviour } from "./config";

/** A SID of this node and its behaviour (RFC 8986, section 4). */
@unmanaged
export class Sid {
  behaviour: Behaviour;
  table: u32;
  port: u32;
  nextHop4: u32;
  private high: u64;
  private low: u64;
  /** Of the SID's prefix. */
  length: u32;
  /** Unspecified: the packet's own destination is the neighbour. */
  // @ts-ignore: decorator
  @inline get nextHop6(): Ipv6Address { return changetype<Ipv6Address>(changetype<usize>(this) + 16); }
}

/** What is encapsulated, and how (RFC 8986, section 5.1). */
@unmanaged
export class Policy {
  private sourceHigh: u64;
  private sourceLow: u64;
  private matchHigh: u64;
  private matchLow: u64;
  /** Bits of `matchSource` that the inner source must have; 0: any. IPv4 is the last 32 of 128 bits. */
  matchLength: u32;
  firstSegment: u32;
  segments: u32;
  /** 1: H.Encaps.Red, the first segment is only in the destination. */
  isReduced: u32;
  /** 0: the inner packet's. */
  hopLimit: u32;
  /** 1: from the flow's hash; 0: the inner packet's, or zero. */
  hashesLabel: u32;
  /** The policy to try when this one's source does not match, + 1; 0: none. */
  next: u32;
  private spare: u32;

  /** Of the outer header. */
  // @ts-ignore: decorator
  @inline get source(): Ipv6Address { return changetype<Ipv6Address>(changetype<usize>(this)); }
  // @ts-ignore: decorator
  @inline get matchSource(): Ipv6Address { return changetype<Ipv6Address>(changetype<usize>(this) + 16); }
}

@unmanaged
export class Options {
  /** Hook where policies apply. */
  encapsAt: u32;
}

export const options = new Settings<Options>("options");
export const sids = new ArrayTable<Sid>("sids");
/** Number of the SID + 1. */
export const sidByPrefix = new LpmTable("sid-by-prefix");
export const policies = new ArrayTable<Policy>("policies");
/** Number of the first policy to try + 1, by destination. */
export const policyByDestination = new LpmTable("policy-by-destination");
export const segments = new ArrayTable<Ipv6Address>("segments");
