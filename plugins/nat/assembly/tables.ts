// What configure builds. Addresses are two words in host order, IPv4 in the lower 32 bits of `low`.

import { ArrayTable, HashTable, Settings } from "@sluice/sdk";

@unmanaged
export class ServiceKey {
  high: u64;
  low: u64;
  /** Family << 24 | protocol << 16 | port. */
  kind: u64;

  // @ts-ignore: decorator
  @inline set(family: u32, high: u64, low: u64, protocol: u32, port: u32): void {
    this.high = high;
    this.low = low;
    this.kind = family << 24 | protocol << 16 | port;
  }
}

@unmanaged
export class Service {
  firstBackend: u32;
  backends: u32;
  /** Where its part of `choices` starts. */
  firstChoice: u32;
  /** Entries there; 0: no backend is ready. */
  choices: u32;
  /** Number of its pool + 1; 0: the source stays. */
  pool: u32;
  /** That a client's new flows go where its last one went; 0: they need not. */
  affinitySeconds: u32;
}

@unmanaged
export class Backend {
  high: u64;
  low: u64;
  port: u32;
  /** 0: takes no new flows, and keeps those that it has. */
  weight: u32;
}

/** What sources are translated to: one address, and its ports (or ICMP identifiers) from `first` to `last`. */
@unmanaged
export class Pool {
  high: u64;
  low: u64;
  first: u32;
  last: u32;
}

@unmanaged
export class Prefix128 {
  high: u64;
  low: u64;
  highMask: u64;
  lowMask: u64;

  // @ts-ignore: decorator
  @inline holds(high: u64, low: u64): bool {
    return ((high & this.highMask) ^ this.high | (low & this.lowMask) ^ this.low) == 0;
  }
}

/** New flows from a prefix to anywhere but the exceptions get a source from the pool. */
@unmanaged
export class SourceRule {
  source: u32; // in `prefixes`, as the exceptions, which follow each other
  firstException: u32;
  exceptions: u32;
  pool: u32;
  family: u32;
}

@unmanaged
export class Options {
  /** Pools + 1 of hairpin flows; 0: none. */
  hairpin4: u32;
  hairpin6: u32;
  /** 1: TCP and SCTP flows of a backend that is gone are dropped; 0: they stay with it. */
  dropsRemoved: u32;
}

export const options = new Settings<Options>("options");
export const services = new ArrayTable<Service>("services");
export const serviceByKey = new HashTable<ServiceKey, u32>("service-by-key");
/** Addresses of services, with protocol and port 0: 1 when nothing else is served there, 0 when other things are too. */
export const virtualAddresses = new HashTable<ServiceKey, u32>("virtual-addresses");
export const backends = new ArrayTable<Backend>("backends");
export const choices = new ArrayTable<u16>("choices");
export const pools = new ArrayTable<Pool>("pools");
export const prefixes = new ArrayTable<Prefix128>("prefixes");
export const sourceRules = new ArrayTable<SourceRule>("source-rules");

// @ts-ignore: decorator
@inline export const NO_SERVICE: u32 = 0xffffffff;
