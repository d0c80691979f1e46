// Full computations, to hold the stages' incremental ones against.

/** RFC 1071: the folded sum of big-endian 16-bit words, not complemented; an odd last byte is padded with zero. */
export function onesSum(...parts: Uint8Array[]): number {
  const bytes = Buffer.concat(parts.map((part) => (part.length % 2 ? Buffer.concat([part, Uint8Array.of(0)]) : part)));
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** RFC 1071: the complement of `onesSum`, as it stands in a header. */
export const checksum = (...parts: Uint8Array[]): number => ~onesSum(...parts) & 0xffff;

/** RFC 9260, appendix A: as stored, least significant byte first. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** IPv4's (RFC 9293, section 3.1) or IPv6's (RFC 8200, section 8.1), by the addresses' length. */
export function pseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): Uint8Array {
  const tail = Buffer.alloc(source.length === 4 ? 4 : 8);
  if (source.length === 4) {
    tail.writeUInt8(protocol, 1);
    tail.writeUInt16BE(length, 2);
  } else {
    tail.writeUInt32BE(length, 0);
    tail.writeUInt8(protocol, 7);
  }
  return Buffer.concat([source, destination, tail]);
}
