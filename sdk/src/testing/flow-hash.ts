// The flow hash of native/src/parse/flow_hash.h: the same for both directions, on little-endian machines as those it runs on.

const SEED_A = 0x9e3779b97f4a7c15n;
const SEED_B = 0xd1b54a32d192ed03n;
const WORD = 0xffffffffffffffffn;

const multiplyFold = (a: bigint, b: bigint): bigint => {
  const product = a * b;
  return (product & WORD) ^ (product >> 64n);
};

const swapped = (port: number): bigint => BigInt(((port & 0xff) << 8) | (port >> 8));

/** Ports in host order. */
function endpoint(bytes: Buffer, at: number, family: 4 | 6, port: number): bigint {
  if (family === 4) return (BigInt(bytes.readUInt32LE(at)) << 16n) | swapped(port);
  const mixed = multiplyFold(bytes.readBigUInt64LE(at) ^ SEED_A, bytes.readBigUInt64LE(at + 8) ^ SEED_B);
  return (mixed + swapped(port)) & WORD;
}

/** Hash of the packet whose IP header is at `l3`. */
export function addressHash(
  bytes: Buffer,
  l3: number,
  family: 4 | 6,
  protocol: number,
  ports: [number, number],
): number {
  const [source, destination] = family === 4 ? [12, 16] : [8, 24];
  const a = endpoint(bytes, l3 + source, family, ports[0]);
  const b = endpoint(bytes, l3 + destination, family, ports[1]);
  const [low, high] = a < b ? [a, b] : [b, a];
  const mixed = multiplyFold(low ^ SEED_A, ((high + (BigInt(protocol) << 56n)) & WORD) ^ SEED_B);
  return Number((mixed ^ (mixed >> 32n)) & 0xffffffffn);
}
