import { Batch, Counter, definePlugin, generation, now, Packet } from "@sluice/sdk";
import { CAPACITY, claim, FlowRecord, isSameFlow, nextRecord, recordFor } from "./cache";
import { options, Options } from "./config";
import { forgetTemplates } from "./ipfix";
import { flushInTime, report } from "./queue";
export { build } from "./config";

definePlugin({ name: "flow-exporter", version: "1.0.0", headerBytes: 128, failure: "FailOpen" });

// flowEndReason, IANA's registry of IPFIX information elements.
const IDLE: u32 = 1;
const ACTIVE: u32 = 2;
const NO_ROOM: u32 = 5;

/** The cache is looked through once in this time, in nanoseconds, where there are bursts enough. */
const SWEEP_TIME: u64 = 1000000000;
/** Most records looked at in a burst: it bounds its time, and with 16 records a message all are sent (64 messages a call). */
const SWEEP_MOST: u64 = 512;

const sampled = new Counter("sampled_packets", "Packets that were sampled");
const reported = new Counter("reported_flows", "Flow records that were reported");
const evicted = new Counter("evicted_flows", "Flow records reported early, for another flow had their place");

/** Packets to let by before the next one is sampled. */
let untilSample: u32 = 0;
let configured: u32 = 0;
let sweptAt: u64 = 0;

@hook("postrouting")
export function observe(batch: Batch): void {
  if (!options.isSet) return;
  const it = options.value;
  if (configured != generation()) {
    configured = generation();
    untilSample = 0;
    forgetTemplates();
  }
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (untilSample-- != 0) continue;
    untilSample = it.sampling - 1;
    if (packet.isIpv4 || packet.isIpv6) sample(packet, it);
  }
  sweep(it);
  flushInTime(it);
}

function sample(packet: Packet, it: Options): void {
  sampled.add();
  const record = recordFor(packet);
  if (!isSameFlow(record)) {
    if (record.packets != 0) {
      evicted.add();
      end(record, NO_ROOM, it);
    }
    claim(record, packet);
  }
  record.add(packet);
}

/** Reports flows whose time has come. */
function sweep(it: Options): void {
  const time = now();
  const share = (time - sweptAt) * CAPACITY / SWEEP_TIME;
  if (share == 0) return;
  sweptAt = time;
  for (let i: u64 = 0, n = min<u64>(share, SWEEP_MOST); i < n; i++) {
    const record = nextRecord();
    if (record.packets == 0) continue;
    if (time - record.last >= it.idle) end(record, IDLE, it);
    else if (time - record.first >= it.active) end(record, ACTIVE, it);
  }
}

function end(record: FlowRecord, reason: u32, it: Options): void {
  reported.add();
  report(record, reason, it);
}
