/** Lists of prefixes from a seed, and lookups by looking at each. */

/** xorshift32: the same numbers for the same seed, which is not 0. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** An address's bits from the first one on, 32 or 128 of them in all. */
export interface Network {
  family: 4 | 6;
  address: bigint;
  length: number;
}

const BITS = { 4: 32, 6: 128 } as const;
const masked = (address: bigint, family: 4 | 6, length: number) => {
  const low = BigInt(BITS[family] - length);
  return (address >> low) << low;
};

export const address4 = (next: () => number) => BigInt(next());
/** In 2000::/3, where global addresses are. */
export const address6 = (next: () => number) =>
  ([0, 1, 2, 3].reduce((high) => (high << 32n) | BigInt(next()), 0n) & ((1n << 125n) - 1n)) | (1n << 125n);

/** Prefixes as a list by country has them: /12 to /24, and /24 to /48 of IPv6. */
export function networks(seed: number, count4: number, count6: number): Network[] {
  const next = numbers(seed);
  const made = (family: 4 | 6, least: number, most: number): Network => {
    const length = least + (next() % (most - least + 1));
    return { family, length, address: masked(family === 4 ? address4(next) : address6(next), family, length) };
  };
  return [
    ...Array.from({ length: count4 }, () => made(4, 12, 24)),
    ...Array.from({ length: count6 }, () => made(6, 24, 48)),
  ];
}

export function textOf(family: 4 | 6, address: bigint): string {
  const [width, separator, radix] = family === 4 ? [8, ".", 10] : [16, ":", 16];
  const words = [];
  for (let low = BITS[family] - width; low >= 0; low -= width) {
    words.push(((address >> BigInt(low)) & ((1n << BigInt(width)) - 1n)).toString(radix));
  }
  return words.join(separator);
}
export const prefixText = ({ family, address, length }: Network) => `${textOf(family, address)}/${length}`;

/** Looks at each network. */
export const isInOne = (list: Network[], family: 4 | 6, address: bigint) =>
  list.some((network) => network.family === family && masked(address, family, network.length) === network.address);

/** The last address of a network, and the one behind it. */
export const lastOf = ({ family, address, length }: Network) => address | ((1n << BigInt(BITS[family] - length)) - 1n);
