import { contains, formatAddress, type IpPrefix, parseAddress, parsePrefix } from "../config/addresses.js";

/** A block of addresses that the node has of a pool. */
export interface Block {
  readonly pool: string;
  /** In CIDR form. */
  readonly block: string;
}

/** No block counts more, whatever its prefix. */
const MOST = 1 << 20;

/** The addresses of a block that pods can have. Its first one stays free (of IPv6 it is the routers' anycast address, RFC 4291 section 2.6.1), and so does IPv4's last one. */
export class BlockAddresses {
  readonly prefix: IpPrefix;
  /** How many pods can have. */
  readonly count: number;

  private constructor(prefix: IpPrefix) {
    this.prefix = prefix;
    const bits = prefix.bytes.length * 8 - prefix.length;
    this.count = Math.max(0, Math.min(MOST, 2 ** bits) - (prefix.family === 4 ? 2 : 1));
  }

  static of(block: string): BlockAddresses {
    const prefix = parsePrefix(block);
    if (prefix === undefined) throw new Error(`${block} is no block`);
    return new BlockAddresses(prefix);
  }

  /** @param index below `count` */
  at(index: number): string {
    const bytes = [...this.prefix.bytes];
    let carry = index + 1;
    for (let position = bytes.length - 1; carry > 0 && position >= 0; position--) {
      const sum = (bytes[position] ?? 0) + (carry & 0xff);
      bytes[position] = sum & 0xff;
      carry = (carry >>> 8) + (sum >> 8);
    }
    return formatAddress({ family: this.prefix.family, bytes });
  }

  has(address: string): boolean {
    const parsed = parseAddress(address);
    return parsed !== undefined && contains(this.prefix, parsed);
  }
}
