import { Ipv4Address } from "@sluice/sdk";

export enum Action {
  Allow,
  Deny = 5,
  DropAll
}

/** Rates by source. */
@config
export class Rates {
  /** Packets a second. */
  @minimum(1) @maximum(10_000_000)
  rate: u32 = 1000;
  gateway: Ipv4Address = 0x0a000001;
  isStrict: bool;
}
