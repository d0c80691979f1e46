import { LpmTable, Prefix, Settings } from "@sluice/sdk";

@config
class Config {
  /** Networks of the servers to protect. */
  @minItems(1)
  protect: Prefix[];
  /** So many SYNs a second from unproven sources pass unasked, all workers together: in peace nobody notices the guard. */
  threshold: u32 = 0;
  /** How long a source that proved itself needs not do so again. */
  @minimum(1) @maximum(86400)
  trustSeconds: u32 = 3600;
  /** New connections a second that a proven source may open, all workers together. */
  @minimum(1)
  perSource: u32 = 100;
}

@unmanaged
export class Options {
  threshold: u64;
  /** Nanoseconds. */
  trust: u64;
  perSource: u64;
}

export const options = new Settings<Options>("options");
export const servers = new LpmTable("servers");

@configure
export function build(config: Config): void {
  for (let i = 0; i < config.protect.length; i++) servers.add(config.protect[i], 1);
  const made = options.make();
  if (made == null) return;
  made.threshold = config.threshold;
  made.trust = <u64>config.trustSeconds * 1000000000;
  made.perSource = config.perSource;
}
