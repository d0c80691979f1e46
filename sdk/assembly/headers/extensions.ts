// IPv6's extension headers (RFC 8200, section 4).

import { bswap } from "../byteorder";
import { SLOT_HEAD, SLOT_HEAD_LENGTH, WINDOW_BASE } from "../generated/abi";
import { Protocol } from "../protocol";
import { spanBehind, spanBytes, spanLength, spanOf } from "./span";

/** Extension headers whose second byte is their length in units of 8 bytes, without the first. */
// @ts-ignore: decorator
@inline function isPlainExtension(type: u32): bool {
  return type == Protocol.HopByHop || type == Protocol.Routing || type == Protocol.DestinationOptions
    || type == Protocol.Mobility || type == Protocol.Hip || type == Protocol.Shim6;
}

/** Fragment header: the fixed 8 bytes (RFC 8200, section 4.5). */
@unmanaged
export class Fragment {
  private following: u8;
  private reserved: u8;
  private place: u16;
  private id: u32;

  /** Type of what was fragmented; see Protocol. */
  get nextHeader(): u32 { return this.following; }
  /** Where the bytes belong, in bytes. */
  get offset(): u32 { return bswap(this.place) & 0xfff8; }
  /** False in the last one. */
  get moreFragments(): bool { return (bswap(this.place) & 1) != 0; }
  /** Names the fragments of one packet. */
  get identification(): u32 { return bswap(this.id); }
}

/** Authentication header (RFC 4302): the fixed 12 bytes. */
@unmanaged
export class Authentication {
  private following: u8;
  private size: u8;
  private reserved: u16;
  private index: u32;
  private number: u32;

  /** Type of what it protects; see Protocol. */
  get nextHeader(): u32 { return this.following; }
  /** Bytes of the whole header. */
  get length(): u32 { return (<u32>this.size + 2) << 2; }
  /** Security parameters index. */
  get spi(): u32 { return bswap(this.index); }
  /** Number of the packet in its association. */
  get sequence(): u32 { return bswap(this.number); }
}

/** Encapsulating security payload (RFC 4303): the first 8 bytes. */
@unmanaged
export class Esp {
  private index: u32;
  private number: u32;

  /** Security parameters index. */
  get spi(): u32 { return bswap(this.index); }
  /** Number of the packet in its association. */
  get sequence(): u32 { return bswap(this.number); }
}

/**
 * An option of a hop-by-hop or destination options header (RFC 8200, section 4.2), and the way to the next. Padding is
 * passed over. An option that does not end within its header, or within the window, ends the list.
 */
@final @unmanaged
export class ExtensionOption {
  /** False at the end of the list. */
  get isPresent(): bool { return changetype<usize>(this) != 0; }
  /** With the two bits that say what to do when it is not known, and the one that says whether it may change. */
  get type(): u32 { return load<u8>(spanBytes(changetype<usize>(this), 0, 1)); }
  /** Bytes of data. */
  get length(): u32 { return load<u8>(spanBytes(changetype<usize>(this), 1, 1)); }
  /** The byte of data at `offset`; traps outside the data. */
  u8(offset: u32): u32 { return load<u8>(this.data(offset, 1)); }
  /** The 16-bit number at `offset` in the data; traps outside. */
  u16(offset: u32): u32 { return bswap(load<u16>(this.data(offset, 2))); }
  /** The 32-bit number at `offset` in the data; traps outside. */
  u32(offset: u32): u32 { return bswap(load<u32>(this.data(offset, 4))); }
  /** The next option. */
  get next(): ExtensionOption { return optionAt(spanBehind(changetype<usize>(this), this.length + 2)); }

  private data(offset: u32, length: u32): usize {
    if (<u64>offset + <u64>length > <u64>this.length) unreachable();
    return spanBytes(changetype<usize>(this), offset + 2, length);
  }
}

const PAD1: u32 = 0;
const PADN: u32 = 1;

function optionAt(span: usize): ExtensionOption {
  while (span != 0) {
    const type: u32 = load<u8>(spanBytes(span, 0, 1));
    let length: u32 = 1;
    if (type != PAD1) {
      const left = spanLength(span);
      length = left < 2 ? 0x10000 : <u32>load<u8>(spanBytes(span, 1, 1)) + 2;
      if (length > left) break;
      if (type != PADN) return changetype<ExtensionOption>(span);
    }
    span = spanBehind(span, length);
  }
  return changetype<ExtensionOption>(0);
}

/**
 * An extension header of an IPv6 packet, and the way to the next:
 *
 *   for (let extension = packet.extensions; extension.isPresent; extension = extension.next) { ... }
 *
 * The list ends at the L4 header, at a fragment's payload that is not its first, or where the window ends. What is read
 * of a header is within the window, or traps. As one number: bits 31-20 the slot's address from WINDOW_BASE in units of
 * 64 bytes, 19-12 the type, 9-0 the offset in the slot; 0 is none.
 */
@final @unmanaged
export class Extension {
  /** False at the end of the list. */
  get isPresent(): bool { return changetype<usize>(this) != 0; }
  /** See Protocol. */
  get type(): u32 { return <u32>changetype<usize>(this) >>> 12 & 255; }
  /** Offset from the packet's L3 header. */
  get offset(): u32 { return <u32>this.at - <u32>load<u16>(this.slot, SLOT_HEAD); }
  /** Bytes of the whole header. */
  get length(): u32 {
    const type = this.type;
    if (isPlainExtension(type)) return (this.u8(1) + 1) << 3;
    return type == Protocol.Authentication ? (this.u8(1) + 2) << 2 : 8;
  }
  /** Type of what follows; see Protocol. */
  get nextHeader(): u32 { return this.u8(0); }
  /** The byte at `offset` of the header; traps outside the header. */
  u8(offset: u32): u32 { return load<u8>(this.bytes(offset, 1)); }
  /** The 16-bit number at `offset` of the header; traps outside. */
  u16(offset: u32): u32 { return bswap(load<u16>(this.bytes(offset, 2))); }
  /** The 32-bit number at `offset` of the header; traps outside. */
  u32(offset: u32): u32 { return bswap(load<u32>(this.bytes(offset, 4))); }
  /** Options of a hop-by-hop or destination options header; none of another. */
  get options(): ExtensionOption {
    const type = this.type;
    if (type != Protocol.HopByHop && type != Protocol.DestinationOptions) return changetype<ExtensionOption>(0);
    const end = min<usize>(this.at + <usize>this.length, this.end);
    return optionAt(this.at + 2 < end ? spanOf(this.slot, this.at + 2, end) : 0);
  }
  /** Of a fragment header; traps on another. */
  get fragment(): Fragment {
    if (this.type != Protocol.Fragment) unreachable();
    return changetype<Fragment>(this.bytes(0, 8));
  }
  /** A fragment header, and not the first fragment's: what follows is no header. */
  get isLaterFragment(): bool { return this.type == Protocol.Fragment && this.fragment.offset != 0; }
  /** Of an authentication header; traps on another. */
  get authentication(): Authentication {
    if (this.type != Protocol.Authentication) unreachable();
    return changetype<Authentication>(this.bytes(0, 12));
  }
  /** Of a routing header: which kind; traps on another. */
  get routingType(): u32 { return this.routing(2); }
  /** Of a routing header: stations that it still lists; traps on another. */
  get segmentsLeft(): u32 { return this.routing(3); }
  /** The next one. */
  get next(): Extension {
    if (this.isLaterFragment) return changetype<Extension>(0);
    return extensionAt(this.slot, this.at + <usize>this.length, this.nextHeader);
  }

  // @ts-ignore: decorator
  @inline private get slot(): usize { return WINDOW_BASE + (changetype<usize>(this) >>> 20 << 6); }
  // @ts-ignore: decorator
  @inline private get at(): usize { return changetype<usize>(this) & 1023; }
  // @ts-ignore: decorator
  @inline private get end(): usize { return endOf(this.slot); }
  private routing(offset: u32): u32 {
    if (this.type != Protocol.Routing) unreachable();
    return this.u8(offset);
  }
  private bytes(offset: u32, length: u32): usize {
    // Every header has 8 bytes; more are there when its length, which is one of them, says so.
    if (<u64>offset + <u64>length > 8 && <u64>offset + <u64>length > <u64>this.length) unreachable();
    if (this.at + <usize>offset + <usize>length > this.end) unreachable();
    return this.slot + this.at + <usize>offset;
  }
}

// @ts-ignore: decorator
@inline function endOf(slot: usize): usize {
  return <usize>load<u16>(slot, SLOT_HEAD) + <usize>load<u16>(slot, SLOT_HEAD_LENGTH);
}

/**
 * The extension header of this type at an offset in a slot; none when there is no such header, or not its first 8
 * bytes.
 */
export function extensionAt(slot: usize, at: usize, type: u32): Extension {
  const isKnown = isPlainExtension(type) || type == Protocol.Fragment || type == Protocol.Authentication;
  if (!isKnown || at + 8 > endOf(slot)) return changetype<Extension>(0);
  return changetype<Extension>(slot - WINDOW_BASE << 14 | <usize>type << 12 | at);
}
