// Byte order, in the forms that the host's compiler makes one instruction of; the standard library's take it six.

// @ts-ignore: decorator
@inline function bswap32(value: u32): u32 {
  return value << 24 | (value & 0xff00) << 8 | (value >>> 8 & 0xff00 | value >>> 24);
}

// @ts-ignore: decorator
@inline function bswap64(value: u64): u64 {
  return value << 56 | (value & 0xff00) << 40 | ((value & 0xff0000) << 24 | (value & 0xff000000) << 8) |
    (value >>> 8 & 0xff000000 | value >>> 24 & 0xff0000 | (value >>> 40 & 0xff00 | value >>> 56));
}

/** A number of 16, 32 or 64 bits with its bytes in the opposite order. */
// @ts-ignore: decorator
@inline export function bswap<T>(value: T): T {
  if (sizeof<T>() == 8) return <T>bswap64(<u64>value);
  if (sizeof<T>() == 4) return <T>bswap32(<u32>value);
  return <T>(<u16>value << 8 | <u16>value >> 8);
}

// The ports that an L4 header at an address starts with, both loaded at once: to exchange two bytes takes four instructions.

/** Host order. */
// @ts-ignore: decorator
@inline export function sourcePortAt(l4: usize): u32 { return bswap32(load<u32>(l4)) >>> 16; }
/** Host order. */
// @ts-ignore: decorator
@inline export function destinationPortAt(l4: usize): u32 { return bswap32(load<u32>(l4)) & 0xffff; }
