// Fields are in network byte order in memory; accessors take and return numbers in host order. Setters store the one
// field and touch no checksum: they are for headers that a stage makes itself. To change a packet's own headers use the
// calls of Packet.

import { bswap, destinationPortAt, sourcePortAt } from "../byteorder";

/** RFC 9293: the fixed 20 bytes. */
@unmanaged
export class Tcp {
  private from: u16;
  private to: u16;
  private seq: u32;
  private ack: u32;
  private offset: u8;
  private bits: u8;
  private win: u16;
  private sum: u16;
  private urgent: u16;

  /** Host order. */
  // @ts-ignore: decorator
  @inline get sourcePort(): u32 { return sourcePortAt(changetype<usize>(this)); }
  /** Host order. */
  // @ts-ignore: decorator
  @inline get destinationPort(): u32 { return destinationPortAt(changetype<usize>(this)); }
  /** Of the first byte of payload. */
  // @ts-ignore: decorator
  @inline get sequence(): u32 { return bswap(this.seq); }
  /** The next byte that the sender wants, when ACK is set. */
  // @ts-ignore: decorator
  @inline get acknowledgment(): u32 { return bswap(this.ack); }
  /** Bytes of header with options. */
  // @ts-ignore: decorator
  @inline get headerLength(): i32 { return <i32>(this.offset >>> 4) << 2; }
  /** CWR 128, ECE 64, URG 32, ACK 16, PSH 8, RST 4, SYN 2, FIN 1. */
  // @ts-ignore: decorator
  @inline get flags(): u32 { return this.bits; }
  /** The connection begins. */
  // @ts-ignore: decorator
  @inline get syn(): bool { return (this.bits & 2) != 0; }
  /** `acknowledgment` holds. */
  // @ts-ignore: decorator
  @inline get hasAck(): bool { return (this.bits & 16) != 0; }
  /** The sender has no more. */
  // @ts-ignore: decorator
  @inline get fin(): bool { return (this.bits & 1) != 0; }
  /** The connection is gone. */
  // @ts-ignore: decorator
  @inline get rst(): bool { return (this.bits & 4) != 0; }
  /** As in the header, not scaled. */
  // @ts-ignore: decorator
  @inline get window(): u32 { return bswap(this.win); }

  /** Starts a header of 20 bytes, without options; the checksum is zero. For headers that a stage makes itself. */
  begin(
    sourcePort: u32, destinationPort: u32, sequence: u32, acknowledgment: u32, flags: u32, window: u32
  ): void {
    this.from = bswap(<u16>sourcePort);
    this.to = bswap(<u16>destinationPort);
    this.seq = bswap(sequence);
    this.ack = bswap(acknowledgment);
    this.offset = 5 << 4;
    this.bits = <u8>flags;
    this.win = bswap(<u16>window);
    this.sum = 0;
    this.urgent = 0;
  }
}
