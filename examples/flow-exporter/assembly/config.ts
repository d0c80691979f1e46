import { IpAddress, Ipv6Address, refuse, Settings } from "@sluice/sdk";

@config
class Config {
  /** The collector's address. */
  collector: IpAddress;
  /** Its UDP port. */
  @minimum(1)
  port: u16 = 4739;
  /** The address that messages are sent from: one of the node's own, of the collector's family. */
  source: IpAddress;
  /** Observation domain (RFC 7011, section 3.1) of worker 0; worker 1 has the next number. */
  domain: u32 = 1;
  /** One of so many packets is sampled. */
  @minimum(1)
  sampling: u32 = 100;
  /** A flow is reported after so many seconds without a sampled packet. */
  @minimum(1) @maximum(3600)
  idleSeconds: u32 = 15;
  /** A flow that goes on is reported at this interval. */
  @minimum(1) @maximum(3600)
  activeSeconds: u32 = 60;
  /** Templates are sent again at this interval: over UDP they may get lost (RFC 7011, section 8.4). */
  @minimum(1) @maximum(3600)
  templateSeconds: u32 = 60;
}

/** Times in nanoseconds. */
@unmanaged
export class Options {
  idle: u64;
  active: u64;
  templates: u64;
  sampling: u32;
  domain: u32;
  collector4: u32;
  source4: u32;
  port: u32;
  isIpv6: bool;
}

export const options = new Settings<Options>("options");
export const collector6 = new Settings<Ipv6Address>("collector6");
export const source6 = new Settings<Ipv6Address>("source6");

const SECOND: u64 = 1000000000;

@configure
export function build(config: Config): void {
  if (config.source.family != config.collector.family) {
    return refuse(config, "source", "must be of the collector's family");
  }
  collector6.set(config.collector.address6);
  source6.set(config.source.address6);
  const made = options.make();
  if (made == null) return;
  made.idle = SECOND * config.idleSeconds;
  made.active = SECOND * config.activeSeconds;
  made.templates = SECOND * config.templateSeconds;
  made.sampling = config.sampling;
  made.domain = config.domain;
  made.collector4 = config.collector.address4;
  made.source4 = config.source.address4;
  made.port = config.port;
  made.isIpv6 = config.collector.family == 6;
}
