/** IP protocol numbers and IPv6 extension header types. */
export namespace Protocol {
  // @ts-ignore: decorator
  @inline export const HopByHop: u32 = 0;
  // @ts-ignore: decorator
  @inline export const Icmp: u32 = 1;
  // @ts-ignore: decorator
  @inline export const Ipv4: u32 = 4;
  // @ts-ignore: decorator
  @inline export const Tcp: u32 = 6;
  // @ts-ignore: decorator
  @inline export const Udp: u32 = 17;
  // @ts-ignore: decorator
  @inline export const Dccp: u32 = 33;
  // @ts-ignore: decorator
  @inline export const Ipv6: u32 = 41;
  // @ts-ignore: decorator
  @inline export const Routing: u32 = 43;
  // @ts-ignore: decorator
  @inline export const Fragment: u32 = 44;
  // @ts-ignore: decorator
  @inline export const Esp: u32 = 50;
  // @ts-ignore: decorator
  @inline export const Authentication: u32 = 51;
  // @ts-ignore: decorator
  @inline export const Icmpv6: u32 = 58;
  // @ts-ignore: decorator
  @inline export const DestinationOptions: u32 = 60;
  // @ts-ignore: decorator
  @inline export const Sctp: u32 = 132;
  // @ts-ignore: decorator
  @inline export const Mobility: u32 = 135;
  // @ts-ignore: decorator
  @inline export const UdpLite: u32 = 136;
  // @ts-ignore: decorator
  @inline export const Hip: u32 = 139;
  // @ts-ignore: decorator
  @inline export const Shim6: u32 = 140;
}

// By protocol, of those with ports: where their checksum lies in the L4 header.
const checksums = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
]);

/** Offset of the checksum in the header of a protocol with ports (TCP, UDP, SCTP); 0 of all others. */
// @ts-ignore: decorator
@inline export function checksumOffset(protocol: u32): u32 { return load<u8>(checksums + <usize>protocol); }
