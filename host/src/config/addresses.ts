import { isIPv4, isIPv6 } from "node:net";

export type Family = 4 | 6;

/** An address in network byte order: 4 or 16 bytes. */
export interface IpAddress {
  readonly family: Family;
  readonly bytes: readonly number[];
}

export interface IpPrefix extends IpAddress {
  /** In bits. */
  readonly length: number;
}

export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, bytes: text.split(".").map(Number) };
  if (isIPv6(text) && !text.includes("%")) return { family: 6, bytes: ipv6Bytes(text) };
  return undefined;
}

/** Of an address or a prefix. */
export function familyOf(text: string): Family {
  return text.includes(":") ? 6 : 4;
}

/** The first of the addresses that is of the family. */
export function ofFamily(addresses: readonly string[], family: Family): string | undefined {
  return addresses.find((address) => familyOf(address) === family);
}

/** "address/length"; the host bits may be set. */
export function parsePrefix(text: string): IpPrefix | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] === undefined ? undefined : parseAddress(match[1]);
  const length = Number(match?.[2]);
  if (address === undefined || length > address.bytes.length * 8) return undefined;
  return { ...address, length };
}

/** The prefix with its host bits cleared. */
export function networkOf(prefix: IpPrefix): IpPrefix {
  return { ...prefix, bytes: prefix.bytes.map((byte, index) => byte & maskByte(prefix.length, index)) };
}

export function contains(prefix: IpPrefix, address: IpAddress): boolean {
  return (
    prefix.family === address.family &&
    prefix.bytes.every((byte, index) => ((byte ^ (address.bytes[index] ?? 0)) & maskByte(prefix.length, index)) === 0)
  );
}

/** The same text for the same address, IPv6 in RFC 5952's form. */
export function formatAddress(address: IpAddress): string {
  if (address.family === 4) return address.bytes.join(".");
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((address.bytes[2 * i] ?? 0) << 8) | (address.bytes[2 * i + 1] ?? 0),
  );
  const zeroes = longestZeroRun(groups);
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (zeroes.length < 2) return hex(groups);
  return `${hex(groups.slice(0, zeroes.start))}::${hex(groups.slice(zeroes.start + zeroes.length))}`;
}

export function formatPrefix(prefix: IpPrefix): string {
  return `${formatAddress(prefix)}/${prefix.length}`;
}

/** 169.254.0.0/16 and fe80::/10: each port may have the same one. */
export function isLinkLocal(address: IpAddress): boolean {
  const [first = 0, second = 0] = address.bytes;
  return address.family === 4 ? first === 169 && second === 254 : first === 0xfe && (second & 0xc0) === 0x80;
}

export function isMulticast(address: IpAddress): boolean {
  const first = address.bytes[0] ?? 0;
  return address.family === 4 ? first >= 224 && first < 240 : first === 0xff;
}

/** Six hex bytes with colons, unicast, not all zero. */
export function isStationMac(text: string): boolean {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return false;
  return (Number.parseInt(text.slice(0, 2), 16) & 1) === 0 && !/^[0:]+$/.test(text);
}

function maskByte(length: number, index: number): number {
  const bits = Math.min(8, Math.max(0, length - index * 8));
  return (0xff << (8 - bits)) & 0xff;
}

function ipv6Bytes(text: string): number[] {
  const withoutV4 = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [before = "", after] = withoutV4.split("::");
  const groupsOf = (part: string | undefined) =>
    part ? part.split(":").map((group) => Number.parseInt(group, 16)) : [];
  const left = groupsOf(before);
  const right = groupsOf(after);
  const groups = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return groups.flatMap((group) => [group >> 8, group & 0xff]);
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
