import { type AddressRange, blockAt, blockCount, overlap, rangeOf } from "../cluster/blocks.js";
import { blockKey } from "../cluster/keys.js";
import type { IpPoolRecord } from "../cluster/records.js";
import { formatPrefix, networkOf, parsePrefix } from "../config/addresses.js";
import { blockSizeOf } from "../resources/ip-pool.js";
import type { IpamState } from "./ipam-state.js";

/** The blocks of a pool that nobody has, in one pass. */
export class FreeBlocks {
  readonly #state: IpamState;
  readonly #pool: IpPoolRecord;
  readonly #range: AddressRange;
  readonly #count: bigint;
  /** Keys of blocks that Node objects name, with the node: not for others. */
  readonly #reserved: ReadonlyMap<string, string>;
  /** Blocks in the pool's range that are not of it: of a pool that was there before, or of the same with other blocks. */
  readonly #strangers: readonly AddressRange[];
  #next = 0n;

  constructor(state: IpamState, pool: IpPoolRecord, reserved: ReadonlyMap<string, string>) {
    this.#state = state;
    this.#pool = pool;
    this.#range = rangeOf(pool.spec.cidr);
    this.#count = blockCount(pool.spec);
    this.#reserved = reserved;
    const size = (this.#range.last - this.#range.first + 1n) / this.#count;
    this.#strangers = [...state.blocks.values()]
      .filter((block) => overlap(block.range, this.#range))
      .filter((block) => block.pool !== pool.name || block.range.last - block.range.first + 1n !== size)
      .map((block) => block.range);
  }

  /** Those of `recorded`, which the node's object names, that the node can have again. */
  former(node: string, recorded: readonly string[]): string[] {
    return recorded.filter((block) => {
      const key = blockKey(this.#pool.name, block);
      return (
        this.#reserved.get(key) === node &&
        !this.#state.blocks.has(key) &&
        this.#isOfPool(block) &&
        !this.#isStrange(block)
      );
    });
  }

  /** The lowest that is free. */
  next(): string | undefined {
    const { name, spec } = this.#pool;
    while (this.#next < this.#count) {
      const block = blockAt(spec, this.#next++);
      const key = blockKey(name, block);
      if (!this.#state.blocks.has(key) && !this.#reserved.has(key) && !this.#isStrange(block)) return block;
    }
    return undefined;
  }

  #isOfPool(block: string): boolean {
    const prefix = parsePrefix(block);
    if (prefix === undefined || prefix.length !== blockSizeOf(this.#pool.spec)) return false;
    return formatPrefix(networkOf(prefix)) === block && overlap(rangeOf(block), this.#range);
  }

  #isStrange(block: string): boolean {
    if (this.#strangers.length === 0) return false;
    const range = rangeOf(block);
    return this.#strangers.some((stranger) => overlap(stranger, range));
  }
}
