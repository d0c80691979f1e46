import { formatPrefix, type IpPrefix, parsePrefix } from "../config/addresses.js";
import { SluiceError } from "../errors.js";
import type { IpPoolSpec } from "../resources/ip-pool.js";
import { blockSizeOf } from "../resources/ip-pool.js";

/** The addresses of a prefix as numbers, both ends included. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

const BITS = { 4: 32, 6: 128 } as const;

/** @param text a prefix, such as 10.0.0.0/26 */
export function rangeOf(text: string): AddressRange {
  const prefix = parsed(text);
  const first = numberOf(prefix.bytes);
  return { family: prefix.family, first, last: first + (1n << BigInt(BITS[prefix.family] - prefix.length)) - 1n };
}

export function overlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** How many blocks a pool has. */
export function blockCount(pool: IpPoolSpec): bigint {
  return 1n << BigInt(blockSizeOf(pool) - parsed(pool.cidr).length);
}

/** A pool's block by its number, from 0, in CIDR form. */
export function blockAt(pool: IpPoolSpec, index: bigint): string {
  const { family, bytes } = parsed(pool.cidr);
  const length = blockSizeOf(pool);
  const first = numberOf(bytes) + (index << BigInt(BITS[family] - length));
  return formatPrefix({ family, length, bytes: bytesOf(first, bytes.length) });
}

function parsed(text: string): IpPrefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw SluiceError.of("malformed-prefix", text, "expected a prefix such as 10.0.0.0/24");
  return prefix;
}

function numberOf(bytes: readonly number[]): bigint {
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function bytesOf(number: bigint, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Number((number >> BigInt(8 * (count - 1 - i))) & 0xffn));
}
