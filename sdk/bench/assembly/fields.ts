// Reads the fields that a filter asks for: at prerouting through the views, at forward with loads on the ABI's offsets.
import { Batch, Counter, definePlugin } from "@sluice/sdk";

definePlugin({ name: "bench-fields", version: "1.0.0", headerBytes: 64 });

const sum = new Counter("sum", "Of what was read");

@hook("prerouting")
function withSdk(batch: Batch): void {
  let found: u64 = 0;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.isIpv4) continue;
    const ip = packet.ipv4;
    found += <u64>ip.source + <u64>ip.destination + <u64>ip.ttl + <u64>ip.dscp + <u64>ip.totalLength + packet.length;
    if (packet.isTcp) {
      const tcp = packet.tcp;
      found += <u64>tcp.sourcePort + <u64>tcp.destinationPort + <u64>tcp.flags + <u64>tcp.window;
    } else if (packet.isUdp) {
      const udp = packet.udp;
      found += <u64>udp.sourcePort + <u64>udp.destinationPort + <u64>udp.length;
    }
  }
  sum.add(found);
}

const WINDOW: usize = 0x01000000;

@hook("forward")
function byHand(batch: Batch): void {
  const n: usize = load<u32>(WINDOW);
  let found: u64 = 0;
  for (let i: usize = 0; i < n; i++) {
    store<u32>(WINDOW, <u32>i, 32);
    const slot: usize = load<u32>(WINDOW + (i << 2), 1024);
    if (load<u8>(slot, 12) != 4) continue;
    const head = slot + <usize>load<u16>(slot, 4);
    found += <u64>bswap(load<u32>(head, 12)) + <u64>bswap(load<u32>(head, 16)) + <u64>load<u8>(head, 8)
      + <u64>(load<u8>(head, 1) >>> 2) + <u64>bswap(load<u16>(head, 2)) + <u64>load<u32>(slot, 8);
    const l4Offset: usize = load<u16>(slot, 16);
    if (l4Offset == 0) continue;
    const l4 = head + l4Offset;
    const protocol: u32 = load<u8>(slot, 13);
    if (protocol == 6) {
      found += <u64>bswap(load<u16>(l4)) + <u64>bswap(load<u16>(l4, 2)) + <u64>load<u8>(l4, 13)
        + <u64>bswap(load<u16>(l4, 14));
    } else if (protocol == 17) {
      found += <u64>bswap(load<u16>(l4)) + <u64>bswap(load<u16>(l4, 2)) + <u64>bswap(load<u16>(l4, 4));
    }
  }
  const cell: usize = 0x01100000;
  store<u64>(cell, load<u64>(cell) + found);
}
