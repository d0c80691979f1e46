// One operation on a table of the worker's own for each packet: the source address is the key, the mark says what to
// do, and then what came of it. Low byte of the mark: the operation; the rest: a number for it.
import {
  Batch, CountMinSketch, FlowKey, Interval, Ipv6Address, LruTable, Packet, TokenBuckets, definePlugin, readSource,
  workerShare
} from "@sluice/sdk";

definePlugin({ name: "state", version: "1.0.0", headerBytes: 64, failure: "FailOpen" });

const NONE: u32 = 0xffffffff;

@unmanaged
class Session { packets: u32; bytes: u64; }

const byNumber = new LruTable<u32, u32>(16);
const byAddress = new LruTable<Ipv6Address, u32>(3);
const sessions = new LruTable<FlowKey, Session>(2);
const single = new LruTable<u64, u8>(0);
const limits = new TokenBuckets<u32>(4);
const fast = new TokenBuckets<Ipv6Address>(16);
const sketch = new CountMinSketch<u32>(250, 4);
const often = new Interval(10);
const address = new Ipv6Address();
const flow = new FlowKey();

function look(packet: Packet, what: u32, value: u32): u32 {
  const key = packet.isIpv4 ? packet.ipv4.source : 0;
  switch (what) {
    case 1: byNumber.set(key, value); return byNumber.size;
    case 2: return byNumber.get(key, NONE);
    case 3: return <u32>byNumber.remove(key) << 8 | byNumber.size;
    case 4: return <u32>byNumber.has(key);
    case 5: readSource(packet, address); byAddress.set(address, value); return byAddress.size;
    case 6: readSource(packet, address); return byAddress.get(address, NONE);
    case 7: {
      flow.read(packet);
      const session = sessions.add(flow);
      session.packets++;
      session.bytes += packet.length;
      return session.packets << 16 | <u32>session.bytes;
    }
    case 8: {
      flow.read(packet);
      flow.turn();
      const session = sessions.find(flow);
      return session ? session.packets : NONE;
    }
    case 9: single.set(key, <u8>value); return single.size << 16 | single.capacity;
    case 10: return <u32>limits.take(key, value, 10, 5);
    case 11: return <u32>limits.tokens(key, 10, 5);
    case 12: return <u32>limits.take(key, 1, 0, 5);
    case 13: readSource(packet, address); return <u32>fast.take(address, value, 1250000000, 2000000);
    case 14: return limits.size;
    case 20: return sketch.add(key, value);
    case 21: return sketch.estimate(key);
    case 22: sketch.halve(); return 0;
    case 23: sketch.clear(); return 0;
    case 24: return sketch.add(key, 0xffffff00 + value);
    case 30: return <u32>often.isDue;
    case 31: return <u32>workerShare(value);
    default: return NONE;
  }
}

@hook("forward")
function forward(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    packet.mark = look(packet, packet.mark & 0xff, packet.mark >>> 8);
  }
}
