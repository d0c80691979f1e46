// A packet's metadata as the native parser (native/src/parse) finds it: the same offsets, flags, hash and drop reasons, so
// that a stage sees the same slot in Node as in a packet thread.

import { Flag } from "../generated/abi.js";
import { checksum } from "./checksums.js";
import { addressHash } from "./flow-hash.js";

/** A packet's layout, as a slot says it. */
export interface Parsed {
  /** Without what lies behind the IP length. */
  bytes: Buffer;
  family: 4 | 6;
  protocol: number;
  l4Offset: number;
  payloadOffset: number;
  innerL3Offset: number;
  innerL4Offset: number;
  /** FRAGMENT and ICMP_ERROR. */
  flags: number;
  hash: number;
}
/** The drop reason of a packet that no stage gets to see. */
export interface Malformed {
  reason: string;
}
/** True when parsing found a reason to drop the packet. */
export const isMalformed = (result: object): result is Malformed => "reason" in result;

class MalformedError extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}
const fail = (reason: string): never => {
  throw new MalformedError(reason);
};

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
const SCTP = 132;
const NO_NEXT_HEADER = 59;

/** Parses a packet from its L3 header on, by the rules of the packet path. */
export function parsePacket(bytes: Uint8Array): Parsed | Malformed {
  try {
    return parse(Buffer.from(bytes));
  } catch (error) {
    if (error instanceof MalformedError) return { reason: error.reason };
    throw error;
  }
}

function parse(bytes: Buffer): Parsed {
  const version = (bytes[0] ?? 0) >> 4;
  if (version === 6) return parse6(bytes);
  return parse4(bytes);
}

/** The L4 header in work. */
interface Layer4 {
  bytes: Buffer;
  family: 4 | 6;
  protocol: number;
  offset: number;
  /** Not a first fragment: lengths within L4 can be held against the IP length. */
  isWhole: boolean;
}
type Ports = [source: number, destination: number];

function parse4(packet: Buffer): Parsed {
  if (packet.length < 20) fail("malformed-ipv4");
  const header = (packet.readUInt8(0) & 15) * 4;
  const length = packet.readUInt16BE(2);
  const isPossible = packet.readUInt8(0) >> 4 === 4 && header >= 20 && length >= header && length <= packet.length;
  if (!isPossible) fail("malformed-ipv4");
  if (checksum(packet.subarray(0, header)) !== 0) fail("bad-ipv4-checksum");
  if (isMartian4(packet)) fail("martian-source");
  const bytes = packet.subarray(0, length);
  const fragment = bytes.readUInt16BE(6);
  const protocol = bytes.readUInt8(9);
  const isWhole = (fragment & 0x3fff) === 0;
  if (!isWhole) {
    const offset = (fragment & 0x1fff) * 8;
    checkFragment(offset, length - header, (fragment & 0x2000) !== 0);
    if (offset !== 0) return laterFragment(bytes, 4, protocol);
  }
  return parseLayer4({ bytes, family: 4, protocol, offset: header, isWhole });
}

function isMartian4(packet: Buffer): boolean {
  const source = packet.readUInt8(12);
  const destination = packet.readUInt8(16);
  if (source === 127 || destination === 127 || destination === 0) return true;
  if (source === 0) {
    const isGroupReport = (destination & 0xf0) === 224;
    return packet.readUInt32BE(12) !== 0 || (packet.readUInt32BE(16) !== 0xffffffff && !isGroupReport);
  }
  return (source >= 224 && source < 240) || packet.readUInt32BE(12) === 0xffffffff;
}

function parse6(packet: Buffer): Parsed {
  if (packet.length < 40) fail("malformed-ipv6");
  const length = 40 + packet.readUInt16BE(4);
  const isJumbogram = length === 40 && packet.readUInt8(6) === 0;
  if (length > packet.length || isJumbogram) fail("malformed-ipv6");
  if (isMartian6(packet)) fail("martian-source");
  const bytes = packet.subarray(0, length);
  const chain = walkExtensions(bytes) ?? fail("malformed-extension-header");
  if (chain.isFragment) {
    checkFragment(chain.fragmentOffset, length - chain.fragmentData, chain.more);
    if (chain.fragmentOffset !== 0) return laterFragment(bytes, 6, chain.protocol);
  }
  return parseLayer4({ bytes, family: 6, protocol: chain.protocol, offset: chain.end, isWhole: !chain.isFragment });
}

function isMartian6(packet: Buffer): boolean {
  const low = (at: number) => packet.readBigUInt64BE(at + 8);
  const isSpecial = (at: number) => packet.readBigUInt64BE(at) === 0n && (low(at) === 1n || low(at) >> 32n === 0xffffn);
  const isUnspecified = (at: number) => packet.readBigUInt64BE(at) === 0n && low(at) === 0n;
  if (packet[8] === 0xff || isSpecial(8) || isSpecial(24) || isUnspecified(24)) return true;
  return isUnspecified(8) && packet[24] !== 0xff;
}

interface Chain {
  protocol: number;
  isFragment: boolean;
  more: boolean;
  fragmentOffset: number;
  fragmentData: number;
  end: number;
}
const PLAIN_EXTENSIONS = new Set([0, 43, 60, 135, 139, 140]);

/** RFC 8200, section 4; undefined when the chain leaves the bytes or is out of order. */
export function walkExtensions(bytes: Buffer): Chain | undefined {
  const chain: Chain = { protocol: 0, isFragment: false, more: false, fragmentOffset: 0, fragmentData: 0, end: 0 };
  let offset = 40;
  let next = bytes.readUInt8(6);
  let hasFragment = false;
  for (let headers = 0; headers <= 8; headers++) {
    const isKnown = PLAIN_EXTENSIONS.has(next) || next === 44 || next === 51;
    if (!isKnown) return { ...chain, protocol: next, end: offset };
    if (offset + 8 > bytes.length || (next === 0 && offset !== 40)) return undefined;
    const units = bytes.readUInt8(offset + 1);
    let length = (units + 1) * 8;
    if (next === 51) length = (units + 2) * 4;
    if (next === 44) {
      if (hasFragment) return undefined;
      hasFragment = true;
      length = 8;
      const field = bytes.readUInt16BE(offset + 2);
      chain.fragmentOffset = field & 0xfff8;
      chain.more = (field & 1) === 1;
      chain.fragmentData = offset + 8;
      chain.isFragment = chain.more || chain.fragmentOffset !== 0;
      if (chain.fragmentOffset !== 0) return { ...chain, protocol: bytes.readUInt8(offset), end: chain.fragmentData };
    }
    if (offset + length > bytes.length) return undefined;
    next = bytes.readUInt8(offset);
    offset += length;
  }
  return undefined;
}

function checkFragment(offset: number, length: number, more: boolean): void {
  if (length === 0 || (more && length % 8 !== 0) || offset + length > 65535) fail("malformed-fragment");
}

function laterFragment(bytes: Buffer, family: 4 | 6, protocol: number): Parsed {
  const hash = addressHash(bytes, 0, family, protocol, [0, 0]);
  const offsets = { l4Offset: 0, payloadOffset: 0, innerL3Offset: 0, innerL4Offset: 0 };
  return { bytes, family, protocol, ...offsets, flags: Flag.FRAGMENT, hash };
}

function parseLayer4(l4: Layer4): Parsed {
  const { bytes, family, protocol } = l4;
  const parsed: Parsed = {
    ...{ bytes, family, protocol, l4Offset: 0, payloadOffset: 0, innerL3Offset: 0, innerL4Offset: 0 },
    flags: l4.isWhole ? 0 : Flag.FRAGMENT,
    hash: 0,
  };
  const [ports, hash] = parseProtocol(l4, parsed);
  parsed.hash = hash ?? addressHash(bytes, 0, family, protocol, l4.isWhole ? ports : [0, 0]);
  return parsed;
}

/** Sets the offsets; returns what the flow hash takes as ports, or an ICMP error's hash. */
function parseProtocol(l4: Layer4, parsed: Parsed): [Ports, (number | undefined)?] {
  switch (l4.protocol) {
    case TCP:
      return [parseTcp(l4, parsed)];
    case UDP:
      return [parseUdp(l4, parsed)];
    case SCTP:
      return [takeHeader(l4, parsed, 12, "malformed-sctp") ? portsAt(l4) : [0, 0]];
    case l4.family === 4 ? ICMP : ICMPV6:
      return parseIcmp(l4, parsed);
    default:
      if (l4.protocol !== NO_NEXT_HEADER && l4.offset < l4.bytes.length) parsed.l4Offset = l4.offset;
      return [[0, 0]];
  }
}

const portsAt = ({ bytes, offset }: Layer4): Ports => [bytes.readUInt16BE(offset), bytes.readUInt16BE(offset + 2)];

/** False: a first fragment that ends within the header. */
function takeHeader(l4: Layer4, parsed: Parsed, length: number, reason: string): boolean {
  if (l4.offset + length <= l4.bytes.length) {
    parsed.l4Offset = l4.offset;
    parsed.payloadOffset = l4.offset + length;
    return true;
  }
  if (l4.isWhole) fail(reason);
  return false;
}

function parseTcp(l4: Layer4, parsed: Parsed): Ports {
  if (!takeHeader(l4, parsed, 20, "malformed-tcp")) return [0, 0];
  const length = (l4.bytes.readUInt8(l4.offset + 12) >> 4) * 4;
  if (length < 20) fail("malformed-tcp");
  if (l4.offset + length > l4.bytes.length) {
    parsed.l4Offset = parsed.payloadOffset = 0;
    return l4.isWhole ? fail("malformed-tcp") : [0, 0];
  }
  parsed.payloadOffset = l4.offset + length;
  return portsAt(l4);
}

function parseUdp(l4: Layer4, parsed: Parsed): Ports {
  if (!takeHeader(l4, parsed, 8, "malformed-udp")) return [0, 0];
  const length = l4.bytes.readUInt16BE(l4.offset + 4);
  if (length < 8 || (l4.isWhole && l4.offset + length > l4.bytes.length)) fail("malformed-udp");
  return portsAt(l4);
}

const isEcho = (family: 4 | 6, type: number): boolean =>
  family === 4 ? type === 0 || type === 8 : type === 128 || type === 129;
const isError = (family: 4 | 6, type: number): boolean =>
  family === 4 ? [3, 4, 5, 11, 12].includes(type) : type >= 1 && type < 128;

function parseIcmp(l4: Layer4, parsed: Parsed): [Ports, (number | undefined)?] {
  const { bytes, family, offset } = l4;
  if (!takeHeader(l4, parsed, family === 4 ? 8 : 4, "malformed-icmp")) return [[0, 0]];
  const type = bytes.readUInt8(offset);
  const hasBody = offset + 8 <= bytes.length;
  if (hasBody) parsed.payloadOffset = offset + 8;
  const needsBody = isEcho(family, type) || isError(family, type);
  if (needsBody && !hasBody) return l4.isWhole ? fail("malformed-icmp") : [[0, 0]];
  if (isEcho(family, type)) return [[bytes.readUInt16BE(offset + 4), bytes.readUInt16BE(offset + 4)]];
  return isError(family, type) && l4.isWhole ? [[0, 0], parseQuoted(l4, parsed)] : [[0, 0]];
}

/** Sets the inner offsets; the quoted packet's hash when its L4 header can be read. */
function parseQuoted({ bytes, family, offset }: Layer4, parsed: Parsed): number | undefined {
  parsed.flags |= Flag.ICMP_ERROR;
  const inner = offset + 8;
  const quoted = bytes.subarray(inner);
  const version = (quoted[0] ?? 0) >> 4;
  if (version !== family || quoted.length < (family === 4 ? 20 : 40)) return undefined;
  const header = family === 4 ? (quoted.readUInt8(0) & 15) * 4 : 40;
  if (header < 20 || header > quoted.length) return undefined;
  parsed.innerL3Offset = inner;
  const found = family === 4 ? quotedLayer4(quoted, header) : quotedLayer6(quoted);
  if (!found || found.offset + 8 > quoted.length) return undefined;
  parsed.innerL4Offset = inner + found.offset;
  return addressHash(bytes, inner, family, found.protocol, quotedPorts(quoted, family, found.protocol, found.offset));
}

function quotedLayer4(quoted: Buffer, header: number): { protocol: number; offset: number } | undefined {
  const isLater = (quoted.readUInt16BE(6) & 0x1fff) !== 0;
  return isLater ? undefined : { protocol: quoted.readUInt8(9), offset: header };
}

function quotedLayer6(quoted: Buffer): { protocol: number; offset: number } | undefined {
  const chain = walkExtensions(quoted);
  return chain && chain.fragmentOffset === 0 ? { protocol: chain.protocol, offset: chain.end } : undefined;
}

function quotedPorts(quoted: Buffer, family: 4 | 6, protocol: number, offset: number): Ports {
  if ([TCP, UDP, SCTP].includes(protocol)) return [quoted.readUInt16BE(offset), quoted.readUInt16BE(offset + 2)];
  if (protocol !== ICMP && protocol !== ICMPV6) return [0, 0];
  if (!isEcho(family, quoted.readUInt8(offset))) return [0, 0];
  return [quoted.readUInt16BE(offset + 4), quoted.readUInt16BE(offset + 4)];
}
