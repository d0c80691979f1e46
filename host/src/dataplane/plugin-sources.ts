import type { Logger } from "pino";
import { messageOf, SluiceError } from "../errors.js";
import type { Placed, Source } from "./protocol.js";

/** Modules whose bytes are kept at hand. */
const KEPT_MODULES = 8;

/** Places in compiled modules as places in their AssemblyScript source, and what their names mean to people. */
export class PluginSources {
  /** By digest, the one asked for last at the end. */
  private readonly modules = new Map<string, Uint8Array>();

  constructor(
    private readonly read: (digest: string) => Promise<Uint8Array>,
    private readonly log: Logger,
  ) {}

  /** `offset`: of the instruction in the module's file. */
  async place<Item extends { offset: number }>(digest: string, items: readonly Item[]): Promise<Placed<Item>[]> {
    const wasm = items.length === 0 ? undefined : await this.module(digest);
    if (wasm === undefined) return items.map((item) => ({ ...item, source: null }));
    const { sourceOf } = await import("@sluice/sdk/build");
    const source = (offset: number): Source | null => {
      const found = sourceOf(wasm, offset);
      return found && { ...found, near: found.near ?? null };
    };
    return items.map((item) => ({ ...item, source: source(item.offset) }));
  }

  /** Help texts of a module's counters and drop reasons, by name. */
  async help(digest: string): Promise<Readonly<Record<string, string>>> {
    const wasm = await this.module(digest);
    if (wasm === undefined) return {};
    const { readManifest } = await import("@sluice/sdk/build");
    return readManifest(wasm).help ?? {};
  }

  private async module(digest: string): Promise<Uint8Array | undefined> {
    const wasm = this.modules.get(digest) ?? (await this.load(digest));
    if (wasm === undefined) return undefined;
    this.modules.delete(digest);
    this.modules.set(digest, wasm);
    for (const oldest of [...this.modules.keys()].slice(0, -KEPT_MODULES)) this.modules.delete(oldest);
    return wasm;
  }

  /** Figures are worth having without the source's lines, so a missing module is no error of who asks. */
  private async load(digest: string): Promise<Uint8Array | undefined> {
    try {
      return await this.read(digest);
    } catch (error) {
      const isUnknown = error instanceof SluiceError && error.problems.every(({ code }) => code === "unknown-module");
      if (!isUnknown) this.log.warn({ digest }, `no source lines of this module: ${messageOf(error)}`);
      return undefined;
    }
  }
}
