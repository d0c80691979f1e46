import { hashFind, hashInsert } from "./hashtable";
import { Ipv6Address } from "./headers";
import { Prefix } from "./json";
import { makeTable, tableAddress } from "./segment";

// Header: two hash headers (IPv4, IPv6), u32 number of IPv4 lengths, u32 of IPv6 lengths, then the prefix lengths in use,
// longest first: u8[36] of IPv4, u8[132] of IPv6. A lookup tries one exact match for each length in use.
const HASH6: usize = 16;
const LENGTHS4: usize = 32;
const LENGTHS6: usize = 36;
const LIST4: usize = 40;
const LIST6: usize = 76;
const HEADER: u32 = 208;

@unmanaged
class Key6 {
  high: u64;
  low: u64;
  length: u64;
}
const key6 = changetype<Key6>(memory.data(24, 8));

// @ts-ignore: decorator
@inline function mask64(length: i32): u64 {
  return length <= 0 ? 0 : length >= 64 ? ~(<u64>0) : ~(<u64>0) << (64 - <u64>length);
}
// @ts-ignore: decorator
@inline function key4(address: u32, length: u32): u64 {
  return (<u64>address & (mask64(<i32>length + 32) & 0xffffffff)) << 8 | <u64>length;
}

/**
 * Longest prefix match over IPv4 and IPv6 in the config segment; values are u32. Declared at a file's top level:
 * `const denied = new LpmTable("denied")`.
 */
@unmanaged
export class LpmTable {
  constructor(name: string) { unreachable(); }

  /** Value of the longest prefix that holds the IPv4 address (host order), or `missing`. */
  lookup4(address: u32, missing: u32 = 0): u32 {
    const header = tableAddress(changetype<usize>(this));
    if (header == 0) return missing;
    const list = header + LIST4;
    for (let i: usize = 0, n: usize = load<u32>(header, LENGTHS4); i < n; i++) {
      const at = hashFind<u64, u32>(header, key4(address, load<u8>(list + i)));
      if (at != 0) return load<u32>(at);
    }
    return missing;
  }
  /** Value of the longest prefix that holds the IPv6 address, or `missing`. */
  lookup6(address: Ipv6Address, missing: u32 = 0): u32 {
    const header = tableAddress(changetype<usize>(this));
    if (header == 0) return missing;
    const high = address.high;
    const low = address.low;
    const list = header + LIST6;
    for (let i: usize = 0, n: usize = load<u32>(header, LENGTHS6); i < n; i++) {
      setKey6(high, low, load<u8>(list + i));
      const at = hashFind<Key6, u32>(header + HASH6, key6);
      if (at != 0) return load<u32>(at);
    }
    return missing;
  }

  /** Configure only: sets the value of a prefix of either family; true when that was done. As `add4` otherwise. */
  add(prefix: Prefix, value: u32): bool {
    if (prefix.family == 4) return this.add4(prefix.address4, prefix.length, value);
    return prefix.family == 6 && this.add6(prefix.address6, prefix.length, value);
  }
  /**
   * Configure only: sets the value of a prefix; bits behind `length` are ignored. False when `length` is above 32, or the
   * segment is too small; configure then ends with TOO_LARGE.
   */
  add4(address: u32, length: u32, value: u32): bool {
    const header = makeTable(changetype<usize>(this), HEADER);
    if (header == 0 || length > 32) return false;
    const at = hashInsert<u64, u32>(header, key4(address, length));
    if (at == 0) return false;
    store<u32>(at, value);
    noteLength(header + LIST4, header + LENGTHS4, length);
    return true;
  }
  /** Configure only: as `add4`, with `length` up to 128. */
  add6(address: Ipv6Address, length: u32, value: u32): bool {
    const header = makeTable(changetype<usize>(this), HEADER);
    if (header == 0 || length > 128) return false;
    setKey6(address.high, address.low, length);
    const at = hashInsert<Key6, u32>(header + HASH6, key6);
    if (at == 0) return false;
    store<u32>(at, value);
    noteLength(header + LIST6, header + LENGTHS6, length);
    return true;
  }
}

// @ts-ignore: decorator
@inline function setKey6(high: u64, low: u64, length: u32): void {
  key6.high = high & mask64(<i32>length);
  key6.low = low & mask64(<i32>length - 64);
  key6.length = length;
}

/** Keeps the list of lengths in use, longest first. */
function noteLength(list: usize, count: usize, length: u32): void {
  const n: usize = load<u32>(count);
  let i: usize = 0;
  while (i < n && <u32>load<u8>(list + i) > length) i++;
  if (i < n && <u32>load<u8>(list + i) == length) return;
  for (let j = n; j > i; j--) store<u8>(list + j, load<u8>(list + j - 1));
  store<u8>(list + i, length);
  store<u32>(count, <u32>n + 1);
}
