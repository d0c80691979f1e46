import {
  Batch, Counter, definePlugin, dropReason, Gauge, Ipv6Address, LpmTable, Packet, Prefix, readSource, Settings, TokenBuckets,
  workerShare
} from "@sluice/sdk";

definePlugin({ name: "source-rate-limiter", headerBytes: 64, failure: "FailOpen" });

@config
class Config {
  /** What a source may send: so many bytes (from the L3 header) or packets a second. */
  @minimum(1)
  rate: u32;
  /** What it may send at once after a pause. A packet of more bytes than this never passes. */
  @minimum(1)
  burst: u32;
  @oneOf("bytes", "packets")
  unit: string = "bytes";
  /** IPv6 addresses that have this many bits in common are one source: a site has a /64 at least. */
  @minimum(1) @maximum(128)
  ipv6PrefixLength: u8 = 64;
  /** Networks without a limit. */
  exempt: Prefix[] = [];
}

@unmanaged
class Limit {
  rate: u64;
  burst: u64;
  /** Of an IPv6 source: what of its high and low half counts. */
  high: u64;
  low: u64;
  countsBytes: bool;
}

const limit = new Settings<Limit>("limit");
const exempt = new LpmTable("exempt");
const buckets = new TokenBuckets<Ipv6Address>(65536);
const source = new Ipv6Address();

const tooFast = dropReason("rate-exceeded", "Its source sends faster than it may");
const limited = new Counter("limited_packets", "Packets over their source's rate");
const sources = new Gauge("sources", "Sources that have a bucket, by worker; 65536 at most");

@configure
export function build(config: Config): void {
  for (let i = 0; i < config.exempt.length; i++) exempt.add(config.exempt[i], 1);
  const made = limit.make();
  if (made == null) return;
  made.rate = config.rate;
  made.burst = config.burst;
  made.countsBytes = config.unit == "bytes";
  const bits: u64 = config.ipv6PrefixLength;
  made.high = bits >= 64 ? u64.MAX_VALUE : ~(u64.MAX_VALUE >>> bits);
  made.low = bits <= 64 ? 0 : bits == 128 ? u64.MAX_VALUE : ~(u64.MAX_VALUE >>> (bits - 64));
}

@hook("prerouting")
export function police(batch: Batch): void {
  if (!limit.isSet) return;
  const it = limit.value;
  // Packets of one source may reach any worker.
  const rate = workerShare(it.rate);
  const burst = workerShare(it.burst);
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!readSource(packet, source) || isExempt(packet)) continue;
    if (packet.isIpv6) {
      source.high = source.high & it.high;
      source.low = source.low & it.low;
    }
    if (buckets.take(source, it.countsBytes ? packet.length : 1, rate, burst)) continue;
    limited.add();
    packet.drop(tooFast);
  }
  sources.set(buckets.size);
}

function isExempt(packet: Packet): bool {
  return (packet.isIpv4 ? exempt.lookup4(packet.ipv4.source) : exempt.lookup6(packet.ipv6.source)) != 0;
}
