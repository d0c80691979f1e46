import type { Logger } from "pino";
import { type AddressRange, rangeOf } from "../cluster/blocks.js";
import { BLOCKS_PREFIX, IDS_PREFIX, NODE_IDS_PREFIX, WANTS_PREFIX } from "../cluster/keys.js";
import {
  type BlockRecord,
  blockRecord,
  type IdRecord,
  idRecord,
  nodeIdRecord,
  type WantRecord,
  wantRecord,
} from "../cluster/records.js";
import { messageOf } from "../errors.js";
import type { Change, WatchHandler } from "../store/watch.js";

export interface HeldBlock extends BlockRecord {
  readonly key: string;
  readonly range: AddressRange;
  readonly revision: number;
}

/** What etcd holds of ids and blocks, kept by a watch. It may be behind: every write is made on condition of what it says. */
export class IpamState implements WatchHandler {
  /** By number. */
  readonly ids = new Map<number, IdRecord & { readonly revision: number }>();
  /** Numbers by node. */
  readonly nodeIds = new Map<string, number>();
  /** By key. */
  readonly blocks = new Map<string, HeldBlock>();
  /** By key. */
  readonly wants = new Map<string, WantRecord>();
  readonly #log: Logger;
  readonly #onChange: () => void;
  #complete = false;

  constructor(log: Logger, onChange: () => void) {
    this.#log = log;
    this.#onChange = onChange;
  }

  get complete(): boolean {
    return this.#complete;
  }

  changed(changes: readonly Change[]): void {
    for (const change of changes) {
      try {
        this.#apply(change);
      } catch (error) {
        // Somebody else's, or a newer version's: it is left alone, and its key can't be taken either.
        this.#log.error({ key: change.key, error: messageOf(error) }, "a record of addresses can't be read");
      }
    }
    this.#onChange();
  }

  synced(): void {
    this.#complete = true;
    this.#onChange();
  }

  /** @throws ZodError, SyntaxError */
  #apply({ key, value, revision }: Change): void {
    const record: unknown = value === undefined ? undefined : JSON.parse(value);
    if (key.startsWith(BLOCKS_PREFIX)) {
      if (record === undefined) this.blocks.delete(key);
      else {
        const block = blockRecord.parse(record);
        this.blocks.set(key, { ...block, key, range: rangeOf(block.block), revision });
      }
    } else if (key.startsWith(IDS_PREFIX)) {
      const id = Number(key.slice(IDS_PREFIX.length));
      if (record === undefined) this.ids.delete(id);
      else this.ids.set(id, { ...idRecord.parse(record), revision });
    } else if (key.startsWith(NODE_IDS_PREFIX)) {
      if (record === undefined) this.nodeIds.delete(key.slice(NODE_IDS_PREFIX.length));
      else {
        const { node, id } = nodeIdRecord.parse(record);
        this.nodeIds.set(node, id);
      }
    } else if (key.startsWith(WANTS_PREFIX)) {
      if (record === undefined) this.wants.delete(key);
      else this.wants.set(key, wantRecord.parse(record));
    }
  }
}
