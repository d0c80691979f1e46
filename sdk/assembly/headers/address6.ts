import { bswap } from "../byteorder";

/** 16 bytes, network byte order. `new Ipv6Address()` at the top level makes one of the stage's own. */
@unmanaged
export class Ipv6Address {
  private first: u64;
  private second: u64;

  /** Bits 127 to 64. */
  // @ts-ignore: decorator
  @inline get high(): u64 { return bswap(this.first); }
  // @ts-ignore: decorator
  @inline set high(value: u64) { this.first = bswap(value); }
  /** Bits 63 to 0. */
  // @ts-ignore: decorator
  @inline get low(): u64 { return bswap(this.second); }
  // @ts-ignore: decorator
  @inline set low(value: u64) { this.second = bswap(value); }

  /** True when all 128 bits are the same. */
  // @ts-ignore: decorator
  @inline equals(other: Ipv6Address): bool { return this.first == other.first && this.second == other.second; }
  /** True for ::. */
  // @ts-ignore: decorator
  @inline get isUnspecified(): bool { return (this.first | this.second) == 0; }
  /** ff00::/8. */
  // @ts-ignore: decorator
  @inline get isMulticast(): bool { return (this.first & 0xff) == 0xff; }

  /** Overwrites these 16 bytes; in a packet no checksum is touched and the packet must be marked by `markWritten()`. */
  // @ts-ignore: decorator
  @inline copyFrom(other: Ipv6Address): void {
    const first = other.first;
    const second = other.second;
    this.first = first;
    this.second = second;
  }

  /** Makes it ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2); `address` in host order. For addresses of the stage's own. */
  // @ts-ignore: decorator
  @inline setIpv4(address: u32): void {
    this.first = 0;
    this.second = <u64>bswap(address) << 32 | 0xffff0000;
  }

  /** True when the first `length` (0 to 128) bits are those of `prefix`. */
  matches(prefix: Ipv6Address, length: i32): bool {
    if (length <= 0) return true;
    if (length <= 64) return (this.high ^ prefix.high) >>> (64 - length) == 0;
    if (this.first != prefix.first) return false;
    return length >= 128 ? this.second == prefix.second : (this.low ^ prefix.low) >>> (128 - length) == 0;
  }
}
