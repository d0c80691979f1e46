// Fields are in network byte order in memory; accessors take and return numbers in host order.

import { bswap } from "../byteorder";

/** ICMP (RFC 792), and what ICMPv6 (RFC 4443) shares with it: the first 8 bytes. */
@unmanaged
export class Icmp {
  private kind: u8;
  private subkind: u8;
  private sum: u16;
  private word: u16;
  private word2: u16;

  /** What it says; in IPv4 and IPv6 the numbers differ. */
  // @ts-ignore: decorator
  @inline get type(): u32 { return this.kind; }
  /** What it says in particular. */
  // @ts-ignore: decorator
  @inline get code(): u32 { return this.subkind; }
  /** Of an echo request or reply. */
  // @ts-ignore: decorator
  @inline get identifier(): u32 { return bswap(this.word); }
  /** Of an echo request or reply. */
  // @ts-ignore: decorator
  @inline get sequence(): u32 { return bswap(this.word2); }
  /** Of "fragmentation needed" in IPv4 (RFC 1191): the next link's MTU; 0 when the sender did not say. */
  // @ts-ignore: decorator
  @inline get nextMtu(): u32 { return bswap(this.word2); }
  /** Bytes 4 to 7, as one number. */
  // @ts-ignore: decorator
  @inline get rest(): u32 { return <u32>bswap(this.word) << 16 | <u32>bswap(this.word2); }
}

/** ICMPv6 (RFC 4443): the first 8 bytes. */
@unmanaged
export class Icmpv6 extends Icmp {
  /** Of "packet too big": the next link's MTU. */
  // @ts-ignore: decorator
  @inline get mtu(): u32 { return this.rest; }
  /** Of "parameter problem": offset of what is wrong in the quoted packet. */
  // @ts-ignore: decorator
  @inline get pointer(): u32 { return this.rest; }
}
