import { join } from "node:path";
import { z } from "zod";
import { messageOf, SluiceError } from "../errors.js";
import {
  type Attachment,
  type AttachmentName,
  addressesOf,
  attachmentId,
  attachmentSchema,
  type PodInterface,
} from "./attachment.js";
import { type Block, BlockAddresses } from "./block.js";
import { Journal } from "./journal.js";

/** A pool of addresses. Pods get one of each family that there are pools of. */
export interface Pool {
  readonly name: string;
  readonly family: 4 | 6;
  /** Nothing new is given out of it. Pods still need an address of its family: a pod that lost one of its two would be noticed late. */
  readonly isDisabled: boolean;
  /** Nodes have all of its blocks. */
  readonly isFull: boolean;
}

export interface IpamOptions {
  readonly folder: string;
  /** How long a released address rests: what still knows its last owner must have forgotten it by then. */
  readonly coolDownMs: number;
  /** Unix time, ms. */
  readonly now?: () => number;
}

const recordSchema = z.union([
  z.strictObject({ add: attachmentSchema }),
  z.strictObject({ release: z.string(), addresses: z.array(z.string()), at: z.number() }),
]);
type Record = z.output<typeof recordSchema>;

interface FreeAddress {
  readonly block: OwnBlock;
  readonly index: number;
  readonly address: string;
}

/** What an ADD asks for. */
export type Wanted = Omit<Attachment, "interfaces"> & {
  readonly interfaces: readonly Omit<PodInterface, "addresses">[];
};

/** Journals with this many records more than needed are written anew. */
const SPARE_RECORDS = 1000;
/** More blocks are asked for while fewer addresses than this, or than a quarter, are free. */
const LEAST_FREE = 8;

interface OwnBlock extends Block {
  readonly addresses: BlockAddresses;
  /** Where the search for a free address goes on, so that one that was released is the last to be given out again. */
  next: number;
}

/**
 * Gives out the addresses of the node's blocks. What allocate() and release() have answered for outlives any crash; no address has two
 * owners, and one that was released rests before it has another.
 */
export class Ipam {
  private readonly attachments = new Map<string, Attachment>();
  private readonly owners = new Map<string, string>();
  /** Until when released addresses rest. */
  private readonly resting = new Map<string, number>();
  private listed: readonly Attachment[] | undefined;
  private blocks: OwnBlock[] = [];
  /** Of addresses that were looked for: none where they are of no block that the node has now. */
  private readonly blocksOf = new Map<string, OwnBlock | undefined>();
  private pools: readonly Pool[] = [];

  private constructor(
    private readonly journal: Journal,
    private readonly coolDownMs: number,
    private readonly now: () => number,
  ) {}

  /** @throws SluiceError as Journal.open() */
  static async open({ folder, coolDownMs, now = Date.now }: IpamOptions): Promise<Ipam> {
    const file = join(folder, "addresses.journal");
    const { journal, records } = await Journal.open(file);
    const ipam = new Ipam(journal, coolDownMs, now);
    for (const [index, record] of records.entries()) {
      const parsed = recordSchema.safeParse(record);
      if (!parsed.success) {
        throw SluiceError.of(
          "journal-corrupt",
          `${file}:${index + 1}`,
          "a record of another version, or none of this file",
        );
      }
      ipam.replay(parsed.data);
    }
    return ipam;
  }

  /** @param pools in the order in which addresses are given out of them */
  setBlocks(blocks: readonly Block[], pools: readonly Pool[]): void {
    const before = new Map(this.blocks.map((block) => [block.block, block]));
    const now = blocks.map(
      ({ pool, block }) => before.get(block) ?? { pool, block, addresses: BlockAddresses.of(block), next: 0 },
    );
    if (now.length !== before.size || now.some((block, index) => block !== this.blocks[index])) this.blocksOf.clear();
    this.blocks = now;
    this.pools = pools;
  }

  get(name: AttachmentName): Attachment | undefined {
    return this.attachments.get(attachmentId(name));
  }

  /** The same list until one is added or taken away. */
  all(): readonly Attachment[] {
    this.listed ??= [...this.attachments.values()];
    return this.listed;
  }

  /** Why no address can be given out now; undefined: one can. */
  unready(): string | undefined {
    try {
      this.choose(new Set());
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  /**
   * Addresses for a container's interfaces, one of each family that there are pools of. An interface that has some keeps them.
   * @throws SluiceError "no-address", "journal-unusable"
   */
  async allocate(wanted: Wanted): Promise<Attachment> {
    const id = attachmentId(wanted);
    const known = this.attachments.get(id);
    const before = new Map(known?.interfaces.map((each) => [each.name, each.addresses]));
    const chosen = new Set<string>();
    const interfaces = wanted.interfaces.map(({ name, kind }) => {
      const addresses = before.get(name) ?? this.choose(chosen).map((free) => this.take(free));
      for (const address of addresses) chosen.add(address);
      return { name, kind, addresses };
    });
    const attachment = { ...wanted, interfaces };
    const kept = new Set(addressesOf(attachment));
    const given = [...before.values()].flat().filter((address) => !kept.has(address));
    this.remove(id, this.now(), given);
    this.put(id, attachment);
    try {
      await this.journal.append({ add: attachment } satisfies Record);
    } catch (error) {
      // It may be on the disk or not: the addresses rest, as after a release.
      this.remove(id, this.now());
      if (known !== undefined) this.put(id, known);
      throw error;
    }
    return attachment;
  }

  /** Succeeds for what was never added. @throws SluiceError "journal-unusable" */
  async release(name: AttachmentName): Promise<void> {
    const id = attachmentId(name);
    const attachment = this.attachments.get(id);
    if (attachment === undefined) return;
    const addresses = addressesOf(attachment);
    const at = this.now();
    this.remove(id, at);
    try {
      await this.journal.append({ release: id, addresses, at } satisfies Record);
    } catch (error) {
      this.put(id, attachment);
      throw error;
    }
    if (this.journal.length > this.attachments.size + this.resting.size + SPARE_RECORDS) await this.compact();
  }

  /** How many blocks of each pool the node needs. */
  wants(): Map<string, number> {
    const wants = new Map<string, number>();
    const asked = new Set<number>();
    for (const { name, family } of this.enabled()) {
      const own = this.blocks.filter(({ pool }) => pool === name);
      const count = own.reduce((sum, { addresses }) => sum + addresses.count, 0);
      const free = count - this.takenOf(own);
      const isShort = free < Math.max(LEAST_FREE, count / 4);
      const asks = isShort && !asked.has(family);
      // The next pool is asked too once the first one's addresses are all taken: it may have no block left.
      if (asks && free > 0) asked.add(family);
      wants.set(name, asks ? own.length + 1 : own.length);
    }
    return wants;
  }

  /** For status and metrics. */
  usage(): { used: number; resting: number; free: number } {
    const count = this.blocks.reduce((sum, { addresses }) => sum + addresses.count, 0);
    this.wake();
    return { used: this.owners.size, resting: this.resting.size, free: count - this.takenOf(this.blocks) };
  }

  close(): Promise<void> {
    return this.journal.close();
  }

  /** Addresses are given out of these only, the first ones first. */
  private enabled(): readonly Pool[] {
    return this.pools.filter(({ isDisabled }) => !isDisabled);
  }

  private choose(but: ReadonlySet<string>): FreeAddress[] {
    this.wake();
    const families = new Set(this.pools.map(({ family }) => family));
    if (families.size === 0) {
      throw SluiceError.of("no-address", "", "the node knows no IPPool yet; make one, or wait for the reflector");
    }
    return [...families].sort().map((family) => this.chooseOf(family, but));
  }

  private chooseOf(family: 4 | 6, but: ReadonlySet<string>): FreeAddress {
    const isOfFamily = (pool: Pool) => pool.family === family;
    const pools = this.enabled().filter(isOfFamily);
    if (pools.length === 0) {
      const what = `every IPPool of IPv${family} addresses is disabled (${namesOf(this.pools.filter(isOfFamily))})`;
      const todo = `enable one, make another, or delete them if pods shall have no IPv${family} address`;
      throw SluiceError.of("no-address", "", `${what}; ${todo}`);
    }
    for (const { name } of pools) {
      for (const block of this.blocks.filter(({ pool }) => pool === name)) {
        const free = this.freeOf(block, but);
        if (free !== undefined) return free;
      }
    }
    const blocks = this.blocks.filter(({ pool }) => pools.some(({ name }) => name === pool)).length;
    const why =
      blocks === 0
        ? `the node has no block of IPv${family} addresses yet`
        : `all IPv${family} addresses of the node's ${blocks} blocks are given out or rest after their release`;
    throw SluiceError.of("no-address", "", `${why}; ${prospect(pools)}`);
  }

  private freeOf(block: OwnBlock, but: ReadonlySet<string>): FreeAddress | undefined {
    const { addresses } = block;
    for (let tried = 0; tried < addresses.count; tried++) {
      const index = (block.next + tried) % addresses.count;
      const address = addresses.at(index);
      if (this.owners.has(address) || this.resting.has(address) || but.has(address)) continue;
      return { block, index, address };
    }
    return undefined;
  }

  private take({ block, index, address }: FreeAddress): string {
    block.next = (index + 1) % block.addresses.count;
    return address;
  }

  private takenOf(blocks: readonly OwnBlock[]): number {
    const meant = new Set<OwnBlock | undefined>(blocks);
    const taken = [...this.owners.keys(), ...this.resting.keys()];
    return taken.filter((address) => meant.has(this.blockOf(address))).length;
  }

  private blockOf(address: string): OwnBlock | undefined {
    if (!this.blocksOf.has(address)) {
      const found = this.blocks.find(({ addresses }) => addresses.has(address));
      this.blocksOf.set(address, found);
    }
    return this.blocksOf.get(address);
  }

  private wake(): void {
    const now = this.now();
    for (const [address, until] of this.resting) if (until <= now) this.resting.delete(address);
  }

  private replay(record: Record): void {
    if ("add" in record) {
      // Interfaces that it has no longer rest from about then on.
      const id = attachmentId(record.add);
      this.remove(id, this.now());
      this.put(id, record.add);
    } else this.remove(record.release, record.at, record.addresses);
  }

  private put(id: string, attachment: Attachment): void {
    this.attachments.set(id, attachment);
    this.listed = undefined;
    for (const address of addressesOf(attachment)) {
      this.owners.set(address, id);
      this.resting.delete(address);
    }
  }

  private remove(id: string, at: number, given?: readonly string[]): void {
    const attachment = this.attachments.get(id);
    const addresses = given ?? (attachment === undefined ? [] : addressesOf(attachment));
    this.attachments.delete(id);
    this.listed = undefined;
    for (const address of addresses) {
      if (this.owners.get(address) === id) this.owners.delete(address);
      if (!this.owners.has(address)) this.resting.set(address, at + this.coolDownMs);
    }
  }

  private compact(): Promise<void> {
    return this.journal.replace(() => this.records());
  }

  private records(): Record[] {
    this.wake();
    const releases = [...this.resting].map(([address, until]) => ({
      release: "",
      addresses: [address],
      at: until - this.coolDownMs,
    }));
    const adds = this.all().map((add) => ({ add }));
    return [...releases, ...adds];
  }
}

/** What is to be expected, or done, where pools of a family have no address for the node. */
function prospect(pools: readonly Pool[]): string {
  if (pools.some(({ isFull }) => !isFull)) return "another block is asked for, try again";
  return `no block is left of ${pools.length === 1 ? "IPPool" : "IPPools"} ${namesOf(pools)}: make another IPPool, or remove pods`;
}

const namesOf = (pools: readonly Pool[]): string => pools.map(({ name }) => name).join(", ");
