import { bswap } from "./byteorder";
import { Ipv6Address } from "./headers";

/** An IPv4 address in host order: 10.0.0.1 is 0x0a000001. */
export type Ipv4Address = u32;

/** "10.0.0.1" in the bytes from `start` to `end`, in host order; -1 when it is no IPv4 address. */
export function parseAddress4(start: usize, end: usize): i64 {
  let address: u32 = 0;
  let part: u32 = 0;
  let digits = 0;
  let dots = 0;
  for (let at = start; at < end; at++) {
    const byte: u32 = load<u8>(at);
    if (byte == 0x2e) {
      if (digits == 0 || ++dots > 3) return -1;
      address = address << 8 | part;
      part = 0;
      digits = 0;
    } else {
      if (byte - 0x30 >= 10 || digits == 1 && part == 0) return -1;
      part = part * 10 + byte - 0x30;
      if (++digits > 3 || part > 255) return -1;
    }
  }
  return dots == 3 && digits != 0 ? <i64>(address << 8 | part) : -1;
}

/** "fd00::1" (RFC 4291, section 2.2) in the bytes from `start` to `end`, into `into`; false when it is no IPv6 address. */
export function parseAddress6(start: usize, end: usize, into: Ipv6Address): bool {
  const out = changetype<usize>(into);
  store<u64>(out, 0);
  store<u64>(out, 0, 8);
  let groups: usize = 0;
  let gap: isize = -1;
  let at = start;
  if (end - start >= 2 && load<u16>(at) == 0x3a3a) {
    gap = 0;
    at += 2;
  }
  while (at < end) {
    if (groups == 8) return false;
    const first = at;
    let value: u32 = 0;
    let digits = 0;
    for (; at < end; at++, digits++) {
      const digit = hexDigit(load<u8>(at));
      if (digit < 0) break;
      value = value << 4 | digit;
    }
    if (digits == 0 || digits > 4) return false;
    if (at < end && <u32>load<u8>(at) == 0x2e) {
      const last = parseAddress4(first, end);
      if (last < 0 || groups > 6) return false;
      store<u32>(out + (groups << 1), bswap(<u32>last));
      groups += 2;
      break;
    }
    store<u16>(out + (groups++ << 1), bswap(<u16>value));
    if (at == end) break;
    if (<u32>load<u8>(at++) != 0x3a || at == end) return false;
    if (<u32>load<u8>(at) == 0x3a) {
      if (gap >= 0) return false;
      gap = groups;
      at++;
    }
  }
  return gap < 0 ? groups == 8 : groups < 8 && spread(out, groups, gap);
}

/** Moves the groups behind "::" to the end. */
function spread(out: usize, groups: usize, gap: usize): bool {
  const moved = groups - gap;
  for (let i: usize = 0; i < moved; i++) {
    const from = out + (groups - 1 - i << 1);
    const value = load<u16>(from);
    store<u16>(from, 0);
    store<u16>(out + (7 - i << 1), value);
  }
  return true;
}

// @ts-ignore: decorator
@inline export function hexDigit(byte: u32): i32 {
  if (byte - 0x30 < 10) return byte - 0x30;
  const letter = (byte | 0x20) - 0x61;
  return letter < 6 ? letter + 10 : -1;
}
