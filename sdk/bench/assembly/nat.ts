// Destination translation: at prerouting written with the SDK, at forward with loads and stores on the ABI's offsets.
import { Batch, Counter, HashTable, Json, definePlugin, mix } from "@sluice/sdk";

definePlugin({ name: "bench-nat", version: "1.0.0", headerBytes: 64, segmentBytes: 1048576 });

const translated = new Counter("translated", "Packets translated");
/** Address << 16 | port to the same of the new destination. */
const services = new HashTable<u64, u64>("services");

@configure
function build(config: Json): void {
  for (let each = config.need("services").first; each.isPresent; each = each.next) {
    const from = <u64>each.need("address").address4() << 16 | each.need("port").unsigned(65535);
    services.set(from, <u64>each.need("toAddress").address4() << 16 | each.need("toPort").unsigned(65535));
  }
}

@hook("prerouting")
function withSdk(batch: Batch): void {
  let count: u64 = 0;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.isIpv4 || !packet.hasPorts) continue;
    const to = services.get(<u64>packet.ipv4.destination << 16 | packet.destinationPort, 0);
    if (to == 0) continue;
    packet.setDestinationEndpoint4(<u32>(to >>> 16), <u32>to & 0xffff);
    count++;
  }
  translated.add(count);
}

const WINDOW: usize = 0x01000000;
const TCP: u32 = 6;
const UDP: u32 = 17;

// @ts-ignore: decorator
@inline function add(a: u32, b: u32): u32 {
  const sum = a + b;
  return (sum & 0xffff) + (sum >>> 16);
}
// @ts-ignore: decorator
@inline function update(field: usize, delta: u32): void { store<u16>(field, ~add(<u32>load<u16>(field) ^ 0xffff, delta)); }

/** The table as HashTable lays it out: tag, value at 8, key at 16, 24 bytes a slot. */
// @ts-ignore: decorator
@inline function find(base: usize, table: usize, key: u64): u64 {
  const hash = mix(key);
  const tag = <u32>(hash >>> 32) | 1;
  const mask: u32 = load<u32>(table);
  const slots = base + <usize>load<u32>(table, 8);
  let i = <u32>hash & mask;
  while (true) {
    const slot = slots + <usize>i * 24;
    const found = load<u32>(slot);
    if (found == 0) return 0;
    if (found == tag && load<u64>(slot, 16) == key) return load<u64>(slot, 8);
    i = (i + 1) & mask;
  }
}

@hook("forward")
function byHand(batch: Batch): void {
  const n: usize = load<u32>(WINDOW);
  const base: usize = load<u32>(WINDOW, 16);
  const table = base + <usize>load<u32>(base, 16);
  let count: u64 = 0;
  for (let i: usize = 0; i < n; i++) {
    store<u32>(WINDOW, <u32>i, 32);
    const slot: usize = load<u32>(WINDOW + (i << 2), 1024);
    const protocol: u32 = load<u8>(slot, 13);
    const l4Offset: usize = load<u16>(slot, 16);
    if (load<u8>(slot, 12) != 4 || l4Offset == 0 || protocol != TCP && protocol != UDP) continue;
    const head = slot + <usize>load<u16>(slot, 4);
    const l4 = head + l4Offset;
    const old = load<u32>(head, 16);
    const to = find(base, table, <u64>bswap(old) << 16 | <u64>bswap(load<u16>(l4, 2)));
    if (to == 0) continue;
    const address = bswap(<u32>(to >>> 16));
    const port = bswap(<u16>to);
    const sum = <u64>~old + <u64>address;
    const ofAddress = add((<u32>sum & 0xffff) + <u32>(sum >>> 32), <u32>sum >>> 16);
    const ofBoth = add(ofAddress, add(<u32>load<u16>(l4, 2) ^ 0xffff, port));
    const flags = load<u16>(slot, 14);
    const isPartial = (flags & 8) != 0;
    store<u32>(head, address, 16);
    store<u16>(l4, port, 2);
    update(head + 10, ofAddress);
    const field = l4 + (protocol == TCP ? 16 : 6);
    if (isPartial) {
      store<u16>(field, add(load<u16>(field), ofAddress));
    } else if (protocol == TCP) {
      update(field, ofBoth);
    } else if (load<u16>(field) != 0) {
      update(field, ofBoth);
      if (load<u16>(field) == 0) store<u16>(field, 0xffff);
    }
    store<u16>(slot, flags | 1, 14);
    count++;
  }
  const cell: usize = 0x01100000;
  store<u64>(cell, load<u64>(cell) + count);
}
