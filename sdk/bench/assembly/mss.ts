// Changes a SYN's largest segment: at prerouting with the SDK, at forward with loads and stores on the ABI's offsets.
import { Batch, definePlugin } from "@sluice/sdk";

definePlugin({ name: "bench-mss", version: "1.0.0", headerBytes: 128 });

/** Another one in each call. */
let mss: u32 = 1400;

@hook("prerouting")
function withSdk(batch: Batch): void {
  mss ^= 4;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (packet.isTcp && packet.tcp.syn) packet.setTcpMss(mss);
  }
}

const WINDOW: usize = 0x01000000;

// @ts-ignore: decorator
@inline function fold(sum: u32): u32 {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

@hook("forward")
function byHand(batch: Batch): void {
  mss ^= 4;
  const n: usize = load<u32>(WINDOW);
  for (let i: usize = 0; i < n; i++) {
    store<u32>(WINDOW, <u32>i, 32);
    const slot: usize = load<u32>(WINDOW + (i << 2), 1024);
    const l4Offset: usize = load<u16>(slot, 16);
    if (load<u8>(slot, 13) != 6 || l4Offset == 0) continue;
    const head = slot + <usize>load<u16>(slot, 4);
    const l4 = head + l4Offset;
    if ((load<u8>(l4, 13) & 2) == 0) continue;
    const end = min<usize>(l4 + (<usize>(load<u8>(l4, 12) >>> 4) << 2), head + <usize>load<u16>(slot, 6));
    for (let at = l4 + 20; at < end;) {
      const kind: u32 = load<u8>(at);
      if (kind == 0) break;
      if (kind == 1) {
        at++;
        continue;
      }
      if (at + 2 > end) break;
      const length: usize = load<u8>(at, 1);
      if (length < 2 || at + length > end) break;
      if (kind == 2 && length == 4) {
        change(slot, l4, at + 2);
        break;
      }
      at += length;
    }
  }
}

// @ts-ignore: decorator
@inline function change(slot: usize, l4: usize, field: usize): void {
  const before: u32 = load<u16>(field);
  const after: u32 = bswap(<u16>mss);
  store<u16>(field, after);
  const flags = load<u16>(slot, 14);
  store<u16>(slot, flags | 1, 14);
  if ((flags & 8) != 0) return;
  let delta = fold((before ^ 0xffff) + after);
  if ((field - l4 & 1) != 0) delta = (delta << 8 | delta >>> 8) & 0xffff;
  store<u16>(l4, ~fold(<u32>(load<u16>(l4, 16) ^ 0xffff) + delta), 16);
}
